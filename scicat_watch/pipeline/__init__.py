"""From a scan's files to its documents, on both sides of a process border.

`handover` holds all that crosses the border. `schema` is the language in which facilities say what a dataset
holds (`*.imsc.yml`). `reading` runs in worker processes and reads data files; `assembly` runs in the daemon and
makes documents. `reading` and `assembly` never import each other, and only `reading` imports h5py. Nothing here
posts anything.
"""
