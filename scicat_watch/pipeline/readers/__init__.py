"""The readers of data files, one module for each kind: what a reading process gets from a scan's master file.

A reader is chosen by the extension of the file (`choose`); what it has to offer is said in `reader`.
Third parties add theirs by an entry point of the group `scicat_watch.readers`.
"""
