"""Contract: a loaded teacher, and the module contract of a backend.

A backend is one file in `teachers/backends/` with

    class Options(BackendOptions)                                   its configuration
    def card(options, context) -> TeacherCard                       identity, without loading anything heavy
    def load(options, context) -> Teacher                           ready to answer; may take long

`card` must not fit or load the model: planning calls it for every teacher of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foundation.model import PluginOptions
from teachers.card import Gives, TeacherCard
from teachers.rows import FittingRows, Inputs
from teachers.signals import Signal, SignalRequest


class BackendOptions(PluginOptions):
    """Options that every backend has.

    `gives` declares what the raw output means; `floor` is the eps that keeps exact zeros of probabilities finite.
    """

    gives: Gives = "logits"
    floor: float = 1e-3


@dataclass(frozen=True)
class TeacherContext:
    """What a backend may know beside its options.

    Attributes:
        name: the teacher's name in the configuration, for messages only.
        classes: class names it answers for, in column order.
        base_dir: folder that relative paths in the options start from.
        fitting: the private rows it is fitted on, for backends that fit; else None.
        device: torch device name.
    """

    name: str
    classes: tuple[str, ...]
    base_dir: Path
    fitting: FittingRows | None = None
    device: str = "cpu"


class Teacher(Protocol):
    """A model that answers. Answers must not depend on the other rows of the batch."""

    @property
    def card(self) -> TeacherCard: ...

    def answer(self, inputs: Inputs, requests: Sequence[SignalRequest]) -> Mapping[SignalRequest, Signal]:
        """Returns one signal per request for B rows; logits are float32 [B, C], already as logits (see `gives`)."""
        ...

    def close(self) -> None:
        """Releases memory and devices."""
        ...
