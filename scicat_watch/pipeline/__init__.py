"""From a scan's files to its documents: `read` in a worker process, `assemble` in the daemon.

Facilities live in metadata schemas (`*.imsc.yml`), not in code. Nothing here posts anything.
"""
