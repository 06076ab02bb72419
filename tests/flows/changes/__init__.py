"""What changes after a dataset was made: its files, their names, and its metadata."""
