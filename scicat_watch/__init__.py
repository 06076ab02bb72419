"""scicat-watch turns the scans that appear on a beamline's disks into datasets of a SciCat catalogue."""

__version__ = "0.1.0"
