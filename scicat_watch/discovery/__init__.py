"""What is on the disks: beamtimes, scan directories, dataset lists, data files, and which of them are complete.

This room looks and tells; it changes nothing on disk, and knows neither what was ingested (the
ledger's knowledge) nor the catalogue. A file-system event is only a hint to look; absence proves nothing.
"""
