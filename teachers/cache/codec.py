"""Contract of a codec, and the handle through which the cache uses one.

A codec is one file in `teachers/cache/codecs/` with

    class Options(PluginOptions)                      its configuration; part of the entry's key
    def schema(options, num_classes) -> ShardSchema   columns; the first one is always `row_key`
    def encode(options, logits_NC) -> columns         all columns but `row_key`
    def decode(options, columns) -> fp32 [N, C]       any subset of the rows
    def representable(options, logits_NC) -> bool [N, C]   which values survive encoding within the stated bound
    def sound(options, columns) -> bool               False for values that `encode` never writes

What becomes of values that are not representable is the caller's policy (error, quarantine, clip), never the codec's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from foundation import registry
from foundation.model import PluginOptions
from teachers.cache.arrow_frame import ShardSchema

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Codec:
    """A codec with its options; small and picklable."""

    options: PluginOptions

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Codec:
        """The inverse of `options.model_dump()`, as it stands in an entry's key."""
        options: PluginOptions = registry.load("codec", str(data["kind"])).Options.model_validate(data)
        return cls(options)

    @property
    def _module(self) -> ModuleType:
        return registry.load("codec", self.options.kind)

    def schema(self, num_classes: int) -> ShardSchema:
        schema: ShardSchema = self._module.schema(self.options, num_classes)
        return schema

    def encode(self, logits_NC: np.ndarray) -> dict[str, np.ndarray]:
        return dict(self._module.encode(self.options, logits_NC))

    def decode(self, columns: Columns) -> np.ndarray:
        logits_NC: np.ndarray = self._module.decode(self.options, columns)
        return logits_NC

    def representable(self, logits_NC: np.ndarray) -> np.ndarray:
        """Returns bool [N, C]: values that `encode` keeps within its bound. Needs at least one finite value per row."""
        mask_NC: np.ndarray = self._module.representable(self.options, logits_NC)
        return mask_NC

    def sound(self, columns: Columns) -> bool:
        return bool(self._module.sound(self.options, columns))
