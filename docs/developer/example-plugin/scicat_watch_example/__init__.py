"""An example of a package that brings an operator, a source and a reader to scicat-watch."""
