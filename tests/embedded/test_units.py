"""SI values beside values with units."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.embedded.units import si_unit, with_si


@pytest.mark.parametrize(
    ("value", "unit", "si", "name"),
    [
        (12.4, "keV", 1.9866989406e-15, "(kg m^2) / s^2"),
        (1.5, "mm", 0.0015, "m"),
        (10, "nm", 1e-08, "m"),
        ([1, 2], "mm", [0.001, 0.002], "m"),
        (1, "m", 1, "m"),
        ("3.5", "um", 3.5e-06, "m"),
        (2, "1/angstrom", 2e10, "m^-1"),
        (1, "Å", 1e-10, "m"),
        (5, "mm/s", 0.005, "m / s"),
        (1, "mbar", 100, "kg / (m s^2)"),
        (1, "kg m^2 / s^2", 1, "(kg m^2) / s^2"),
        (20, "degC", 293.15, "K"),
        (180, "deg", 3.14159265358979, "rad"),
        (2, "h", 7200, "s"),
        (1, "C", 1, "s A"),
        (5, "°C", 5, "°C"),
        (5, "counts", 5, "counts"),
        (5, "%", 5, "%"),
        ("abc", "mm", "abc", "mm"),
        (None, "mm", None, "mm"),
        ([1, 2, 3], "mm", [1, 2, 3], "mm"),
        (1e308, "km", 1e308, "km"),
    ],
)
def test_si_values(value: Any, unit: str, si: Any, name: str) -> None:
    found = with_si({"x": {"value": value, "unit": unit}})["x"]
    assert (found["valueSI"], found["unitSI"]) == (si, name)


def test_where_no_si_values_are_added() -> None:
    tree = {"a": {"value": 1, "unit": ""}, "b": {"value": 1}, "c": [{"value": 1, "unit": "mm"}], "d": {"unit": "mm"}}
    assert with_si(tree) == tree


@given(st.text(max_size=80))
def test_any_text_is_a_unit_or_is_not(unit: str) -> None:
    found = si_unit(unit)
    assert found is None or found.name
