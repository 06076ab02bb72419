"""Where the reading of scans is done: in processes of this machine."""
