"""What a real SciCat backend answered, played on the embedded catalogue over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.embedded.exchange import Player, differences
from tests.recorded import SCICAT

IGNORED = (
    re.compile(r"\.message: "),  # wording
    re.compile(r"\.datasetlifecycle\."),  # dates that follow from the day
    re.compile(r"\.history"),  # a real backend records changes only if configured to; clients ignore it
)


def test_every_recorded_exchange_agrees(served: Callable[..., Any]) -> None:
    passwords = json.loads((SCICAT / "accounts.json").read_text())
    player = Player(served(passwords).url, passwords)
    found: list[str] = []
    for step in json.loads((SCICAT / "exchanges.json").read_text()):
        got, expected = player.play(step), step["expected"]
        if got["status"] != expected["status"]:
            found.append(f"{step['name']}: expected {expected['status']}, got {got}")
            continue
        lines = differences(expected["answer"], got["answer"])
        found += [f"{step['name']}: {line}" for line in lines if not any(sign.search(line) for sign in IGNORED)]
    assert found == []
