"""ESS's offline `scicat-ingestor`: its commands, its configuration, and what it does otherwise than scicat-watch."""
