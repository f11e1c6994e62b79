"""The base of every configuration model: frozen, strict about names, silent about what was typed.

pydantic's own errors carry the rejected input, which may be a secret; `hide_input_in_errors` covers the printed form
only, so errors leave this project through `foundation.problems`, which never looks at the input.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Frozen; unknown keys are refused; NaN and infinities are refused; inputs don't show in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=False,
        protected_namespaces=(),
    )


class PluginOptions(StrictModel):
    """Base of the `Options` of every plug-in: `kind` picks the plug-in, the other fields are its options."""

    kind: str
