"""Who hears of what is done: the log and the journal; each way of reporting is a small class (`reporter`)."""
