"""What the model test does to a daemon, and what must be in the catalogue afterwards."""
