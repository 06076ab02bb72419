"""What a real SciCat backend answered, played on the embedded catalogue over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.embedded.exchange import Player, differences
from tests.recorded import SCICAT

NEEDS_V4 = {
    "read v3 of v4": "reads a dataset that only an API v4 step makes",
    "count": "counts a dataset that only an API v4 step makes",
}
"""Exchanges of API v3 that wait for API v4, with the reason. Those of API v4 itself are left out by their path."""

IGNORED = (
    re.compile(r"\.message: "),  # wording
    re.compile(r"\.datasetlifecycle\."),  # dates that follow from the day
    re.compile(r"\.history"),  # a real backend records changes only if configured to; clients ignore it
)
NUMBERED = re.compile(r"<id \d+>")
"""Ids are numbered in order of appearance, API v4 included: here only their places count."""


def _unnumbered(value: Any) -> Any:
    return json.loads(NUMBERED.sub("<id>", json.dumps(value)))


def test_every_recorded_exchange_of_api_v3_agrees(served: Callable[..., Any]) -> None:
    passwords = json.loads((SCICAT / "accounts.json").read_text())
    player = Player(served(passwords).url, passwords)
    found: list[str] = []
    compared = 0
    for step in json.loads((SCICAT / "exchanges.json").read_text()):
        if step["path"].startswith("/api/v4"):
            continue
        got, expected = player.play(step), step["expected"]
        if step["name"] in NEEDS_V4:
            continue
        compared += 1
        if got["status"] != expected["status"]:
            found.append(f"{step['name']}: expected {expected['status']}, got {got}")
            continue
        lines = differences(_unnumbered(expected["answer"]), _unnumbered(got["answer"]))
        found += [f"{step['name']}: {line}" for line in lines if not any(sign.search(line) for sign in IGNORED)]
    assert found == []
    assert compared > 70
