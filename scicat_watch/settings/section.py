"""What all sections of the configuration share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _expanded(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


UserPath = Annotated[Path, BeforeValidator(_expanded)]
"""A path in which "~" stands for the home directory."""
Seconds = Annotated[float, Field(ge=0)]
"""A duration."""


class Section(BaseModel):
    """Base of all sections: unknown keys are mistakes, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
