"""The embedded catalogue: SciCat's REST API v3 on one SQLite file, for sites that have no SciCat.

It is a real catalogue: what it answered 201 to is on the disk. The rest of the program meets it only
over HTTP, as it meets any other SciCat. `app` makes and serves it; nothing is imported here, so that
a process that only posts to a catalogue does not load a web server.
"""
