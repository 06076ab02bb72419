"""The embedded catalogue: SciCat's REST API v3 and v4 on one SQLite file, for sites without SciCat.

It is a real catalogue: what it answered with 201 is on the disk. The rest of the program uses it only
over HTTP, like any other SciCat. `app` creates and serves it; nothing is imported here, so that
a process that only posts to a catalogue does not load a web server.
"""
