"""What runs in the daemon: from what was read of a scan to the documents that the catalogue is to hold of it.

Variables are made in the schema's order, each by its source (`sources/`); the dataset comes from the schema's
items. Nothing here opens a data file, and nothing is posted.
"""
