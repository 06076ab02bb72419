"""The operator `round_to`: a number, or each of a list, with fewer digits."""

from __future__ import annotations

from scicat_watch.errors import SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.operators import Arguments, Operator


def _round_to(quantity: Quantity, arguments: Arguments) -> Quantity:
    """Rounded to `options: {digits: 2}`; the unit stays."""
    digits = (arguments.get("options") or {}).get("digits", 0)
    numbers = quantity.value if isinstance(quantity.value, list) else [quantity.value]
    if not isinstance(digits, int) or not all(isinstance(number, int | float) for number in numbers):
        raise SourceError("round_to needs numbers, and a whole number of digits")
    rounded = [round(number, digits) for number in numbers]
    return Quantity(rounded if isinstance(quantity.value, list) else rounded[0], quantity.unit)


ROUND_TO = Operator(
    "round_to",
    "A number, or each of a list, rounded; keeps the unit.",
    _round_to,
    arguments={"options": "a mapping with `digits`, 0 if not given"},
)
