"""Experimental techniques from what a NeXus file says about itself: SciCat's `techniques` entries.

Pure. Names and ids are those of PaNET, the ontology of photon and neutron techniques, where we know
them; any other word is name and id at once, so that nothing the experimenters wrote is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

PANET = "http://purl.org/pan-science/PaNET/"
"""What the ids of PaNET begin with."""

LABELS: Mapping[str, str] = {
    "PaNET01188": "small angle x-ray scattering",
    "PaNET01191": "wide angle x-ray scattering",
}
"""Names of the techniques that have a short form."""
SHORT_FORMS: Mapping[str, str] = {"saxs": "PaNET01188", "waxs": "PaNET01191"}
"""Usual abbreviations, and the last part of the ids that they stand for."""

LONGEST = 4096
"""Longest text, in characters, that is read as YAML."""

Technique = dict[str, str]
"""An entry: {"name": …, "pid": …}."""


def technique(word: str) -> Technique:
    """What a short form, a PaNET id or its URL, or any other word stands for."""
    short = SHORT_FORMS.get(word.strip().lower())
    number = short or word.strip().removeprefix(PANET)
    if short or re.fullmatch(r"PaNET\d{5}", number):
        return {"name": LABELS.get(number, number), "pid": PANET + number}
    return {"name": word, "pid": word}


def from_definition(text: str) -> list[Technique]:
    """Techniques that a NeXus `definition` names: a comma list of application definitions, "NXsaxs,NXfluo"."""
    words = (word.strip().removeprefix("NX") for word in text.split(","))
    return [technique(word) for word in words if word]


def from_description(text: str) -> list[Technique]:
    """Techniques of an `experiment_description`.

    YAML with `technique` or `techniques`, and perhaps their ids as `technique_pid` or
    `techniques_pids`; each a word or a list. Any other text is the name of one technique.
    """
    described = described_by(text)
    names = _words(described, "technique", "techniques")
    pids = _words(described, "technique_pid", "technique_pids", "techniques_pid", "techniques_pids")
    if not described:
        names = [text.strip()]
    if names and len(names) == len(pids):
        return [{"name": name, "pid": pid} for name, pid in zip(names, pids, strict=True) if name]
    return [technique(word) for word in names or pids if word]


def described_by(text: str) -> dict[str, Any]:
    """The mapping that `text` is in YAML; empty if it is something else."""
    if len(text) > LONGEST:
        return {}
    try:
        described = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return described if isinstance(described, dict) else {}


def _words(described: Mapping[str, Any], *keys: str) -> list[str]:
    found: list[str] = []
    for key in keys:
        value = described.get(key)
        # Only plain words: an alias in the text could make anything else unbounded.
        found += [str(word) for word in (value if isinstance(value, list) else [value]) if isinstance(word, str | int)]
    return found
