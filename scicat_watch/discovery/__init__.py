"""What is on the disks: beamtimes, scan directories, dataset lists, data files, and which of them are complete.

This room observes and reports; it changes nothing on disk, and knows neither what was ingested (the
ledger's knowledge) nor the catalogue. A file-system event is only a hint; absence proves nothing.
"""
