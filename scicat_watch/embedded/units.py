"""The SI form of a value with a unit, as a SciCat backend adds it to metadata. Pure.

The backend knows the units of mathjs; here are those that beamlines write. The texts of SI units and
the numbers agree with the backend's (12.4 keV is 1.9866989406e-15 (kg m^2) / s^2); a unit that is
not known here keeps its value and its name, which is what the backend does with one it does not know.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_BASE = ("kg", "m", "s", "A", "K", "cd", "mol", "rad", "b")
"""In the order in which an SI unit's text names them."""

_SHORT = {
    "": 1.0, "Y": 1e24, "Z": 1e21, "E": 1e18, "P": 1e15, "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "h": 1e2, "da": 1e1,
    "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18, "z": 1e-21, "y": 1e-24,
}  # fmt: skip
_LONG = {
    "": 1.0, "tera": 1e12, "giga": 1e9, "mega": 1e6, "kilo": 1e3, "hecto": 1e2, "deca": 1e1, "deci": 1e-1,
    "centi": 1e-2, "milli": 1e-3, "micro": 1e-6, "nano": 1e-9, "pico": 1e-12, "femto": 1e-15, "atto": 1e-18,
}  # fmt: skip
_NONE = {"": 1.0}

_ENERGY = {"kg": 1, "m": 2, "s": -2}
_PRESSURE = {"kg": 1, "m": -1, "s": -2}
_ANGLE = {"rad": 1}
_TIME = {"s": 1}
_LENGTH = {"m": 1}

_Definition = tuple[float, Mapping[str, int], Mapping[str, float]]

_UNITS: dict[str, _Definition] = {
    "m": (1.0, _LENGTH, _SHORT), "meter": (1.0, _LENGTH, _LONG), "metre": (1.0, _LENGTH, _LONG),
    "angstrom": (1e-10, _LENGTH, _NONE), "Å": (1e-10, _LENGTH, _NONE), "inch": (0.0254, _LENGTH, _NONE),
    "in": (0.0254, _LENGTH, _NONE), "foot": (0.3048, _LENGTH, _NONE), "ft": (0.3048, _LENGTH, _NONE),
    "l": (1e-3, {"m": 3}, _SHORT), "L": (1e-3, {"m": 3}, _SHORT), "liter": (1e-3, {"m": 3}, _LONG),
    "litre": (1e-3, {"m": 3}, _LONG), "g": (1e-3, {"kg": 1}, _SHORT), "gram": (1e-3, {"kg": 1}, _LONG),
    "s": (1.0, _TIME, _SHORT), "sec": (1.0, _TIME, _NONE), "second": (1.0, _TIME, _LONG),
    "min": (60.0, _TIME, _NONE), "minute": (60.0, _TIME, _NONE), "h": (3600.0, _TIME, _NONE),
    "hr": (3600.0, _TIME, _NONE), "hour": (3600.0, _TIME, _NONE), "day": (86400.0, _TIME, _NONE),
    "week": (604800.0, _TIME, _NONE), "Hz": (1.0, {"s": -1}, _SHORT), "hertz": (1.0, {"s": -1}, _LONG),
    "rad": (1.0, _ANGLE, _SHORT), "radian": (1.0, _ANGLE, _LONG), "deg": (math.pi / 180, _ANGLE, _SHORT),
    "degree": (math.pi / 180, _ANGLE, _LONG), "grad": (math.pi / 200, _ANGLE, _SHORT),
    "arcmin": (math.pi / 10800, _ANGLE, _NONE), "arcsec": (math.pi / 648000, _ANGLE, _NONE),
    "A": (1.0, {"A": 1}, _SHORT), "ampere": (1.0, {"A": 1}, _LONG), "C": (1.0, {"s": 1, "A": 1}, _SHORT),
    "coulomb": (1.0, {"s": 1, "A": 1}, _LONG), "K": (1.0, {"K": 1}, _SHORT), "kelvin": (1.0, {"K": 1}, _LONG),
    "mol": (1.0, {"mol": 1}, _SHORT), "mole": (1.0, {"mol": 1}, _LONG), "cd": (1.0, {"cd": 1}, _SHORT),
    "J": (1.0, _ENERGY, _SHORT), "joule": (1.0, _ENERGY, _LONG), "eV": (1.602176565e-19, _ENERGY, _SHORT),
    "electronvolt": (1.602176565e-19, _ENERGY, _LONG), "erg": (1e-7, _ENERGY, _NONE),
    "W": (1.0, {"kg": 1, "m": 2, "s": -3}, _SHORT), "watt": (1.0, {"kg": 1, "m": 2, "s": -3}, _LONG),
    "N": (1.0, {"kg": 1, "m": 1, "s": -2}, _SHORT), "newton": (1.0, {"kg": 1, "m": 1, "s": -2}, _LONG),
    "Pa": (1.0, _PRESSURE, _SHORT), "pascal": (1.0, _PRESSURE, _LONG), "bar": (1e5, _PRESSURE, _SHORT | _LONG),
    "torr": (133.322368421053, _PRESSURE, _NONE), "mmHg": (133.322387415, _PRESSURE, _NONE),
    "atm": (101325.0, _PRESSURE, _NONE), "psi": (6894.75729276459, _PRESSURE, _NONE),
    "V": (1.0, {"kg": 1, "m": 2, "s": -3, "A": -1}, _SHORT), "volt": (1.0, {"kg": 1, "m": 2, "s": -3, "A": -1}, _LONG),
    "ohm": (1.0, {"kg": 1, "m": 2, "s": -3, "A": -2}, _SHORT | _LONG),
    "F": (1.0, {"kg": -1, "m": -2, "s": 4, "A": 2}, _SHORT), "S": (1.0, {"kg": -1, "m": -2, "s": 3, "A": 2}, _SHORT),
    "Wb": (1.0, {"kg": 1, "m": 2, "s": -2, "A": -1}, _SHORT), "T": (1.0, {"kg": 1, "s": -2, "A": -1}, _SHORT),
    "tesla": (1.0, {"kg": 1, "s": -2, "A": -1}, _LONG), "H": (1.0, {"kg": 1, "m": 2, "s": -2, "A": -2}, _SHORT),
    "bit": (1.0, {"b": 1}, _SHORT), "byte": (8.0, {"b": 1}, _SHORT), "B": (8.0, {"b": 1}, _SHORT),
}  # fmt: skip
for _name in ("meter", "metre", "second", "minute", "hour", "day", "week", "degree", "radian", "gram", "volt"):
    _UNITS[_name + "s"] = _UNITS[_name]

_TEMPERATURES = {"degC": (1.0, 273.15), "celsius": (1.0, 273.15), "degF": (1 / 1.8, 459.67 / 1.8)}
_PART = re.compile(r"\s*([*/])?\s*([^\W\d_]+)\s*(?:\^\s*(-?\d{1,2}))?")
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class SIUnit:
    """What one of some unit is in SI units."""

    factor: float
    name: str
    """The SI unit's text, e.g. "m / s"."""
    offset: float = 0.0
    """Added after multiplying, for temperatures."""

    def of(self, value: float) -> float | int:
        """`value` in SI units, with the digits that multiplying leaves."""
        if self.factor == 1.0 and not self.offset:
            return value
        return float(f"{value * self.factor + self.offset:.15g}")


@lru_cache(maxsize=1024)
def si_unit(unit: str) -> SIUnit | None:
    """The SI unit that `unit` stands for; None for one that is not known."""
    if unit in _TEMPERATURES:
        factor, offset = _TEMPERATURES[unit]
        return SIUnit(factor, "K", offset)
    if len(unit) > _LONGEST:
        return None
    text, position, factor = unit.strip(), 0, 1.0
    dimensions = dict.fromkeys(_BASE, 0)
    if text.startswith("1/"):
        position = 1
    while position < len(text):
        part = _PART.match(text, position)
        single = _single(part[2]) if part else None
        if part is None or single is None or (position == 0 and part[1]):
            return None
        power = int(part[3] or 1) * (-1 if part[1] == "/" else 1)
        factor *= single[0] ** power
        for base, count in single[1].items():
            dimensions[base] += count * power
        position = part.end()
    return SIUnit(factor, _text(dimensions)) if any(dimensions.values()) else None


def with_si(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with `valueSI` and `unitSI` beside every `value` that has a `unit`, at any depth but not in lists."""
    members = {key: with_si(member) if isinstance(member, dict) else member for key, member in tree.items()}
    unit = members.get("unit")
    if "value" in members and isinstance(unit, str) and unit:
        members["valueSI"], members["unitSI"] = _converted(members["value"], unit)
    return members


def _converted(value: Any, unit: str) -> tuple[Any, str]:
    known = si_unit(unit)
    numbers = [_number(one) for one in value] if isinstance(value, list) and len(value) == 2 else [_number(value)]
    if known is None or None in numbers:
        return value, unit
    try:
        found = [known.of(number) for number in numbers if number is not None]
    except OverflowError:
        return value, unit
    if not all(math.isfinite(number) for number in found):
        return value, unit
    return (found if isinstance(value, list) else found[0]), known.name


def _number(value: Any) -> float | int | None:
    if isinstance(value, (bool, int, float)):
        return value if not isinstance(value, bool) else int(value)
    if isinstance(value, str) and len(value) <= _LONGEST:
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    return None


def _single(name: str) -> tuple[float, Mapping[str, int]] | None:
    for length in range(len(name), 0, -1):
        known = _UNITS.get(name[-length:])
        scale = known[2].get(name[:-length]) if known else None
        if known and scale is not None:
            return known[0] * scale, known[1]
    return None


def _text(dimensions: Mapping[str, int]) -> str:
    above = [(base, power) for base, power in dimensions.items() if power > 0]
    below = [(base, power) for base, power in dimensions.items() if power < 0]
    if not above:
        return " ".join(f"{base}^{power}" for base, power in below)
    upper = " ".join(base if power == 1 else f"{base}^{power}" for base, power in above)
    lower = " ".join(base if power == -1 else f"{base}^{-power}" for base, power in below)
    if not below:
        return upper
    return (
        f"({upper})" * (len(above) > 1)
        + upper * (len(above) == 1)
        + " / "
        + (f"({lower})" if len(below) > 1 else lower)
    )
