"""VALUE: a literal with references to other variables, and what an operator makes of it.

Pure but for operators of other packages, which are loaded when they are first wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scicat_watch.errors import SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly import operators, plugins
from scicat_watch.pipeline.assembly.convert import CONVERSIONS, convert
from scicat_watch.pipeline.assembly.findings import Brought, Names, Remark, unless_default
from scicat_watch.pipeline.assembly.operators import Operator
from scicat_watch.pipeline.assembly.render import bounded, candidates, references, render
from scicat_watch.pipeline.schema.model import Variable
from scicat_watch.words import nearest


@dataclass(frozen=True)
class ValueSource:
    """VALUE: computed from earlier variables.

    An operator that is not known leaves the value as it is, as in ESS's ingestor.
    """

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        """The rendered value after the operator."""
        operator = operators.find(variable.operator) or plugins.OPERATORS.get(variable.operator)
        if operator is None:
            return render(variable.value, known)
        arguments = dict(variable.arguments) | {"unit": variable.unit}
        if "operand" in arguments:
            arguments["operand"] = render(arguments["operand"], known)
        forgiving = operator.forgiving
        quantity = Quantity(candidates(variable.value, known)) if forgiving else render(variable.value, known)
        try:
            return bounded(operator.apply(quantity, arguments))
        except (ValueError, TypeError, ArithmeticError) as error:  # A value that no curator thought of.
            raise SourceError(f"{operator.name} cannot be done: {error}") from None


def check(variable: Variable, names: Names, brought: Brought) -> Iterator[Remark]:
    """What is wrong with a variable of the source VALUE."""
    operator = operators.find(variable.operator)
    if operator is None and variable.operator not in brought.operators():
        known = [*operators.NAMES, *brought.operators()]
        words = f"the operator {variable.operator!r} is not known, and does nothing{nearest(variable.operator, known)}"
        yield Remark(words, has_value=True)
    found = [*_references(variable, names, operator)]
    if operator is not None:
        lacking = [key for key in operator.needed if key not in variable.arguments]
        found += [Remark(f"the operator {operator.name} needs the key {key!r}") for key in lacking]
        if not found and not references(variable.value) and not references(variable.arguments.get("operand")):
            found += _constant(variable)
    yield from unless_default(variable, found)


def _references(variable: Variable, names: Names, operator: Operator | None) -> Iterator[Remark]:
    """References that never have a value. An operator that passes over them needs one that does."""
    elements = variable.value if isinstance(variable.value, list) else [variable.value]
    objections = [names.objections(element, variable.name) for element in elements]
    has_value = operator is not None and operator.forgiving and not all(objections)
    yield from (Remark(why, has_value=has_value) for of_element in objections for why in of_element)
    yield from (Remark(f"operand: {why}") for why in names.objections(variable.arguments.get("operand"), variable.name))


def _constant(variable: Variable) -> Iterator[Remark]:
    """What is wrong with a value that is the same for every scan."""
    if variable.value_type not in CONVERSIONS:
        return
    try:
        convert(ValueSource().read(variable, {}).value, variable.value_type)
    except SourceError as error:
        yield Remark(f"it never has a value: {error}")
