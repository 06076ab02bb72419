"""Which names in a directory belong to a scan: known to what reads a scan's files, and to what compares them. Pure.

To a scan belong the files and folders whose names begin with its stem; of folders everything in them.
The rule `exact` takes `scan_1` itself and what goes on with "." or "_": scan_1.nxs, scan_1_0001.tif, the
folder scan_1_pilatus/, but not scan_10.nxs. Nothing in a name says whether scan_1_2.nxs is another scan
or a file of scan_1, and a file too many does less harm than one that the catalogue does not know: it is
listed with both. The rule `prefix` takes every name that begins with the stem.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence


def belonging(stem: str, rule: str) -> Callable[[str], bool]:
    """Whether a name belongs to the scan of this stem, by the rule `exact` or `prefix`."""
    if rule == "prefix":
        return lambda name: name.startswith(stem)
    return lambda name: name == stem or name.startswith((f"{stem}.", f"{stem}_"))


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name, or a whole path, fits one of these shell patterns."""
    match = re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)").match
    return lambda name: match(name) is not None
