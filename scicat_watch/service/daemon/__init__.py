"""The daemon: watches all beamtimes of a site for months."""
