"""Which attachments have a thumbnail that a page may show. Pure.

The `thumbnail` of an attachment is any text that a client sent. It is shown only if it is a data URL of a format
that cannot run programs (so no SVG), and its first bytes are those of that format.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

_URL = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/=\s]*)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A thumbnail, and its media type, e.g. "image/png"."""

    media_type: str
    content: bytes = field(repr=False)

    @property
    def url(self) -> str:
        """As a data URL, written anew."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode('ascii')}"


def thumbnail(text: object) -> Thumbnail | None:
    """The thumbnail in the `thumbnail` field of an attachment; None if a page must not show it."""
    found = _URL.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        content = base64.b64decode("".join(found[2].split()), validate=True)
    except binascii.Error:
        return None
    return Thumbnail(f"image/{found[1]}", content) if _begins_as(found[1], content) else None


def _begins_as(kind: str, content: bytes) -> bool:
    beginnings = {
        "png": content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR",
        "jpeg": content.startswith(b"\xff\xd8\xff"),
        "gif": content.startswith((b"GIF87a", b"GIF89a")),
        "webp": content.startswith(b"RIFF") and content[8:12] == b"WEBP",
    }
    return beginnings[kind]
