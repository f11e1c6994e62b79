"""The base of every configuration model: frozen, strict about names, silent about what was typed.

pydantic's own errors carry the rejected input, which may be a secret; `hide_input_in_errors` covers the printed form
only, so errors leave this project through `foundation.problems`, which decides what may be shown.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator

_NUMBERS = {int, float}


class StrictModel(BaseModel):
    """Frozen; unknown keys are refused; NaN, infinities and `true` for a number are refused; inputs stay unseen."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=False,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _no_boolean_numbers(cls, values: Any) -> Any:
        """pydantic would take `true` as 1, in a configuration a slip; as text it is refused at its own place."""
        if not isinstance(values, dict):
            return values
        odd = {
            name: str(value).lower() for name, value in values.items() if isinstance(value, bool) and _number(cls, name)
        }
        return {**values, **odd} if odd else values


def _number(model: type[BaseModel], name: Any) -> bool:
    field = model.model_fields.get(name)
    if field is None:
        return False
    branches = {field.annotation, *get_args(field.annotation)}
    return not branches.isdisjoint(_NUMBERS) and branches.isdisjoint({bool, str, Any})


class PluginOptions(StrictModel):
    """Base of the `Options` of every plug-in: `kind` picks the plug-in, the other fields are its options."""

    kind: str
