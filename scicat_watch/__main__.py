"""`python -m scicat_watch`: the command line."""

from scicat_watch.cli import main

main()
