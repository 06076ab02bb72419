"""The installed program, end to end: real files, real processes, real HTTP, the embedded catalogue."""
