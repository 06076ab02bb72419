"""VALUE: a literal with references to other variables, and what an operator makes of it.

Pure but for operators of other packages, which are loaded when they are first wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scicat_watch.errors import SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly import operators, plugins
from scicat_watch.pipeline.assembly.render import bounded, candidates, render
from scicat_watch.pipeline.schema.model import Variable


@dataclass(frozen=True)
class ValueSource:
    """VALUE: computed from earlier variables.

    An operator that is not known leaves the value as it is, as in ESS's ingestor.
    """

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        """The rendered value after the operator."""
        operator = operators.find(variable.operator) or plugins.operator(variable.operator)
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
