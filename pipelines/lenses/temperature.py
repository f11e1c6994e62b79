"""Temperature: divides the logits of both sides, so that the small probabilities are heard."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from foundation.errors import ConfigError
from foundation.model import PluginOptions

Positive = Annotated[float, Field(gt=0)]


class Options(PluginOptions):
    """softmax(z / T) on both sides; the fusion multiplies by T^2, so gradients keep their size (Hinton et al. 2015).

    value: one number for all teachers, or {teacher: T}; teachers that are not named keep T = 1.
    """

    kind: Literal["temperature"] = "temperature"
    value: Positive | dict[str, Positive] = 1.0


def temperatures(options: Options, names: Sequence[str]) -> tuple[float, ...]:
    """Returns T_k for the K teachers. Raises `ConfigError` when a temperature names no teacher of the run."""
    if not isinstance(options.value, dict):
        return (float(options.value),) * len(names)
    for name in options.value:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise ConfigError(
                "A temperature names a teacher that doesn't exist.",
                expected=", ".join(names),
                found=name,
                next_step=f"did you mean {near[0]!r}?" if near else None,
            )
    return tuple(float(options.value.get(name, 1.0)) for name in names)
