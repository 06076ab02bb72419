"""FIO: the text files that Sardana and Spectra write at DESY."""
