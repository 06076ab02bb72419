"""The metadata schema language (imsc): its parsed form, where its files are found, which schema fits a scan.

Used on both sides of the process border, so nothing here imports h5py.
"""
