"""Where the recorded cases are: what DESY's and ESS's ingestors post, and what a real SciCat backend answers."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""
DATA = Path(__file__).resolve().parent / "data"
DESY = DATA / "desy"
"""A DESY beamtime with its lists, and the documents and requests that scingestor makes of them."""
ESS = DATA / "ess"
"""Files, schemas and configurations, and what ESS's offline ingestor posts for them."""
SCICAT = DATA / "scicat"
"""Requests to a SciCat backend 4.5 with its answers; the wording of messages is left out."""
POISON = DATA / "poison"
"""NeXus files with a few changed bytes: one makes HDF5 2.0 loop for ever, one crashes it."""
