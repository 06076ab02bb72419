"""The first thing that the server process of the readers does (`processes`): it is imported there, and nowhere else.

The processes that it forks have all this: the code for reading, loaded with a clean environment.
"""

from __future__ import annotations

from scicat_watch import kernel
from scicat_watch.pipeline.reading import sandbox
from scicat_watch.service.executors import worker

kernel.hide_memory()
sandbox.load()

__all__ = ["worker"]
