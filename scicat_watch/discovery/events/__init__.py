"""File-system events: hints that a directory should be scanned, and where no such hints come."""
