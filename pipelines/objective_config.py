"""Configuration of the objective: terms, each a method on a row set, with its share of the loss."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from foundation import registry
from foundation.model import PluginOptions, StrictModel
from foundation.plugin_field import PluginField


def _default(kind: str, name: str) -> PluginOptions:
    options: PluginOptions = registry.load(kind, name).Options()
    return options


class TermConfig(StrictModel):
    """One term: what is compared, on which rows, and how much it counts.

    rows: name of a row set. method: the loss. fusion, weighting, lenses: for methods that compare with teachers.
    share: part of the loss, before all shares are divided by their sum. A term of share 0 is never computed, but the
    first term still says what an epoch is.
    """

    rows: str
    method: Annotated[PluginOptions, PluginField("method")]
    fusion: Annotated[PluginOptions, PluginField("fusion")] = Field(
        default_factory=lambda: _default("fusion", "losses")
    )
    weighting: Annotated[PluginOptions, PluginField("weighting")] = Field(
        default_factory=lambda: _default("weighting", "uniform")
    )
    lenses: tuple[Annotated[PluginOptions, PluginField("lens")], ...] = ()
    share: Annotated[float, Field(ge=0)] = 1.0


class ObjectiveConfig(StrictModel):
    """loss = sum_t share_t term_t / sum_t share_t, each term the mean over its rows."""

    terms: Annotated[dict[str, TermConfig], Field(min_length=1)]

    @model_validator(mode="after")
    def _some_share(self) -> ObjectiveConfig:
        if not sum(term.share for term in self.terms.values()) > 0:
            raise ValueError("at least one term must have a share above 0")
        return self
