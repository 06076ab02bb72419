"""Programs that use the catalogue through the clients that people have, each run by an interpreter with that client.

Called with the catalogue's address, a user and a password; they end with status 0 if all is as expected.
"""
