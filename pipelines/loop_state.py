"""Everything a training needs to go on as if it had never stopped: tensors, and five scalars."""

from __future__ import annotations

import json
from dataclasses import dataclass

import safetensors
import safetensors.torch
from torch import Tensor

from foundation.errors import CorruptionError

FORMAT = 1


@dataclass(frozen=True)
class LoopState:
    """State between two steps.

    Attributes:
        tensors: `model.<name>` (parameters and buffers) and `optimizer.<name>`.
        order_version, seed: which order of rows; a training with others refuses this state.
        epoch: epochs finished. position: rows of the leading stream already seen in the current epoch.
        step: optimiser steps taken.
    """

    tensors: dict[str, Tensor]
    order_version: int
    seed: int
    epoch: int
    position: int
    step: int

    def scalars(self) -> dict[str, int]:
        names = ("order_version", "seed", "epoch", "position", "step")
        return {name: getattr(self, name) for name in names}

    def to_bytes(self) -> bytes:
        """One safetensors file; the scalars are in its header."""
        header = {"format": str(FORMAT), "loop": json.dumps(self.scalars(), sort_keys=True)}
        return safetensors.torch.save({name: t.cpu().contiguous() for name, t in self.tensors.items()}, header)

    @classmethod
    def from_bytes(cls, data: bytes) -> LoopState:
        """Inverse of `to_bytes`. Raises `CorruptionError` for anything else."""
        try:
            size = int.from_bytes(data[:8], "little")
            meta = json.loads(data[8 : 8 + size])["__metadata__"]
            scalars = {name: int(value) for name, value in json.loads(meta["loop"]).items()}
            if meta["format"] != str(FORMAT):
                raise ValueError(f"format {meta['format']}")
            return cls(safetensors.torch.load(data), **scalars)
        except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise CorruptionError(
                "A training state can't be read.", expected=f"format {FORMAT}", found=error
            ) from error
