"""The programs that scicat-watch replaces: their commands, configuration dialects and behaviour, a folder for each.

A dialect is normalised to the parameters of the rooms here, and known nowhere else.
"""
