"""Writes the generated tables into the page of the schema language: `python docs/schema_language.py`."""

from __future__ import annotations

from pathlib import Path

from scicat_watch.pipeline.reference import filled_in

PAGE = Path(__file__).parent / "developer" / "schema-language.md"


def main() -> None:
    """Bring the page up to date."""
    PAGE.write_text(filled_in(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
