from __future__ import annotations

import math
from typing import Any

import pytest

from scicat_watch.errors import SourceError
from scicat_watch.pipeline.assembly.convert import convert


@pytest.mark.parametrize(
    ("value", "value_type", "expected"),
    [
        ("as is", "string", "as is"),
        (5, "string", "5"),
        (1.25, "string", "1.25"),
        (["a", "b"], "string", "['a', 'b']"),
        (None, "string", "None"),
        (b"caf\xc3\xa9", "string", "café"),
        ("nobody", "email", "nobody"),
        (5, "link", "5"),
        (" 12 ", "integer", 12),
        ("+1_000", "integer", 1000),
        ("-7", "integer", -7),
        (3.9, "integer", 3),
        (-3.9, "integer", -3),
        (True, "integer", 1),
        ("1e3", "float", 1000.0),
        ("inf", "float", math.inf),
        (2, "float", 2.0),
        ("['a', 1]", "string[]", ["a", "1"]),
        ("'ab'", "string[]", ["a", "b"]),
        ({"k": 1}, "string[]", ["k"]),
        ([b"x"], "string[]", ["x"]),
        ("(1, '2', 3.9)", "integer[]", [1, 2, 3]),
        ("(1, '2.5')", "float[]", [1.0, 2.5]),
        ([1, "2.5"], "float[]", [1.0, 2.5]),
        ("['a', 1, None, [2]]", "list", ["a", 1, None, [2]]),
        ([1], "list", [1]),
        ("{'a': {'c': 2}}", "dict", {"a": {"c": 2}}),
        ('{"a": 1}', "dict", {"a": 1}),
        ([("a", 1)], "dict", {"a": 1}),
        (None, "none", None),
        (True, "boolean", True),
        ("False", "boolean", False),
    ],
)
def test_values_become_what_is_asked_for(value: Any, value_type: str, expected: Any) -> None:
    converted = convert(value, value_type)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-02", "2026-01-02T00:00:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05.25+02:00", "2026-01-02T03:04:05.250000+02:00"),
        ("2026-01-02T03:04:05,5+0200", "2026-01-02T03:04:05.500000+02:00"),
        ("2026-01-02T03:04:05.000", "2026-01-02T03:04:05"),
        ("20260102T030405", "2026-01-02T03:04:05"),
        ("2026-W01-5", "2026-01-02T00:00:00"),
        (31010, "1970-01-01T08:36:50+00:00"),
        (0.5, "1970-01-01T00:00:00.500000+00:00"),
        ([1, 2], None),
        ({}, None),
    ],
)
def test_dates(value: Any, expected: str | None) -> None:
    assert convert(value, "date") == expected


@pytest.mark.parametrize(
    ("value", "value_type"),
    [
        ("12.0", "integer"),
        ("0x10", "integer"),
        ("true", "integer"),
        (math.nan, "integer"),
        (math.inf, "integer"),
        ([1], "integer"),
        ("1,5", "float"),
        (None, "float"),
        ("abc", "string[]"),
        (3, "string[]"),
        (["3.9"], "integer[]"),
        ("(1, 2)", "list"),
        ("x", "list"),
        ({"a": 1}, "list"),
        ("[1]", "dict"),
        ("{'a': true}", "dict"),
        (4, "dict"),
        ("2.1.2026", "date"),
        ("1700000000", "date"),
        ("2026", "date"),
        ("2026-01", "date"),
        (math.nan, "date"),
        (1e300, "date"),
        ("null", "none"),
        ("yes", "boolean"),
        ("x", "text"),
        ("[" * 5000, "list"),
        ("-" * 50_000 + "1", "list"),
        ("[" + "1," * 100_000 + "]", "list"),
        ("__import__('os').getcwd()", "list"),
    ],
)
def test_what_does_not_fit_is_refused(value: Any, value_type: str) -> None:
    with pytest.raises(SourceError):
        convert(value, value_type)
