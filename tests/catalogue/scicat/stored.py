"""What the catalogue holds of a scan, and what it shall hold."""

from __future__ import annotations

from typing import Any

from scicat_watch.documents import Bundle
from tests.catalogue.conftest import Site


def state(site: Site, pid: str) -> tuple[Any, ...]:
    """What the catalogue holds: totals, the paths in its file lists, the thumbnails."""
    admin = site.api("admin")
    stored = admin.dataset(pid)
    assert stored is not None
    paths = [sorted(file["path"] for file in block["dataFileList"]) for block in admin.datablocks(pid)]
    thumbnails = [(thumbnail["caption"], thumbnail["thumbnail"]) for thumbnail in admin.attachments(pid)]
    return stored["numberOfFiles"], stored["size"], sorted(paths), sorted(thumbnails)


def complete(of: Bundle) -> tuple[Any, ...]:
    block = of.datablocks[0]
    thumbnail = [(each.caption, each.thumbnail) for each in of.attachments]
    return len(block.files), block.size, [sorted(file.path for file in block.files)], thumbnail
