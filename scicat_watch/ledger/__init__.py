"""What was done, and what is to be tried again.

The ingested list of a scan directory (DESY's format) is the truth about what is done. The journal
remembers attempts, errors and times; losing it loses history only. What to do next follows from both
and the time, in `plan`, which is pure.
"""
