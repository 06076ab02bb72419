"""What runs in a worker process: reads a scan's data files, file list and thumbnail, and gives back plain values.

It holds no token, no connection and no state of ours (`sandbox`). A data file is read by the reader for its kind
(`choose`, `nexus/`, `fio/`); other packages add readers by an entry point of the group `scicat_watch.readers`.
"""
