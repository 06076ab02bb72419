"""Documents of scans, as the pipeline makes them."""

from __future__ import annotations

from typing import Any

from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.documents import Attachment, Bundle, DataFile, Dataset, OrigDatablock, scientific_metadata

POLICY = UpdatePolicy()
"""The native one."""
METADATA = scientific_metadata(
    {
        "energy": {"value": 12.4, "unit": "keV"},
        "mono": {"NX_class": "NXmonochromator", "theta": {"value": 0.25, "unit": "deg"}, "empty": {}, "none": None},
        "user": "ada",
        "version": "1.2",
        "a.b/c %": {"value": "text", "unit": ""},
        "count": {"value": 2**60, "unit": "counts"},
        "list": [{"value": 1, "unit": "mm"}, [1.5, 2.5]],
        "flag": True,
    }
)


def files(count: int = 2, first: int = 0) -> tuple[DataFile, ...]:
    return tuple(
        DataFile(f"scan_1/frame_{n:05d}.cbf", 100 + n, "2026-05-04T10:07:30.123456+02:00", "1000", "1000", "-rw-r--r--")
        for n in range(first, first + count)
    )


def dataset(pid: str, **fields: Any) -> Dataset:
    return Dataset(
        {
            "pid": pid,
            "type": "raw",
            "ownerGroup": "bt-7",
            "accessGroups": ["bl07", "p99staff"],
            "owner": "Ada Example",
            "ownerEmail": "ada@example.org",
            "contactEmail": "ada@example.org",
            "principalInvestigator": "pi@example.org",
            "sourceFolder": "/data/bt-7/raw",
            "creationTime": "2026-05-04T10:07:30.123456+0200",
            "endTime": "2026-05-04T10:08:30+02:00",
            "creationLocation": "/SITE/BL07",
            "datasetName": pid.rpartition("/")[2],
            "description": "theta scan",
            "proposalId": "7",
            "instrumentId": "/site/bl07",
            "isPublished": False,
            "keywords": ["scan"],
            "techniques": [{"pid": "scan", "name": "scan"}],
            "scientificMetadata": METADATA,
        }
        | fields
    )


def bundle(
    pid: str, blocks: tuple[OrigDatablock, ...] | None = None, thumbnail: bytes = b"PNG1", **fields: Any
) -> Bundle:
    thumbnails = (Attachment(thumbnail, "the scan"),) if thumbnail else ()
    return Bundle(dataset(pid, **fields), (OrigDatablock(files()),) if blocks is None else blocks, thumbnails)
