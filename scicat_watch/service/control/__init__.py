"""The control channel: how commands talk to the daemon that runs with the same state directory.

A Unix socket that only the daemon's account and root may use. A command sends one line of JSON, and gets lines of JSON
until the last one, which says how it ended. The channel is served by one thread of the daemon, which touches neither a
beamtime's file system nor the catalogue.
"""
