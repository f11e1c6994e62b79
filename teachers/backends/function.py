"""A teacher that is a user's own function: the smallest backend, and the one to start from.

The function is a guest plug-in, given with `--plugin FILE`:

    KIND = "function"
    VERSION = "1"                       # change it whenever the answers change
    CLASSES = ("cat", "dog")            # optional: lets preflight compare names and order
    def answer(inputs): ...             # {column: [B, ...]} -> [B, C]

A function without a version is refused: nobody could tell its old labels from its new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Literal

from foundation import registry
from foundation.errors import PluginError
from teachers.card import TeacherCard
from teachers.guests import source_digest
from teachers.rows import Inputs
from teachers.signals import Logits, Signal, SignalRequest
from teachers.teacher import BackendOptions, TeacherContext


class Options(BackendOptions):
    """`function` names the guest file; `version`, if given, has to be the file's VERSION."""

    kind: Literal["function"] = "function"
    function: str
    version: str | None = None


def card(options: Options, context: TeacherContext) -> TeacherCard:
    """Returns the identity: name, version and source digest. Raises `PluginError` without a version."""
    module = _module(options, context.name)
    return TeacherCard(
        architecture={"backend": "function", "function": options.function},
        weights={"source": source_digest("function", options.function)},
        preprocessing={},
        classes=context.classes,
        gives=options.gives,
        floor=options.floor if options.gives == "probabilities" else None,
        numerics={},
        version=str(module.VERSION),
    )


def load(options: Options, context: TeacherContext) -> FunctionTeacher:
    """Returns the callable as a teacher."""
    return FunctionTeacher(_module(options, context.name), card(options, context))


class FunctionTeacher:
    """Calls `answer(inputs)` of the guest module."""

    def __init__(self, module: ModuleType, own_card: TeacherCard) -> None:
        self.card = own_card
        self._module = module
        names = getattr(module, "CLASSES", None)
        self.own_classes = tuple(str(name) for name in names) if names else None

    def answer(self, inputs: Inputs, requests: Sequence[SignalRequest]) -> Mapping[SignalRequest, Signal]:
        """Returns the function's raw values under each request."""
        values_BC = self._module.answer(dict(inputs))
        return {request: Logits(values_BC) for request in requests}

    def close(self) -> None:
        """Nothing to release."""


def _module(options: Options, teacher: str) -> ModuleType:
    module = registry.load("function", options.function)
    version = getattr(module, "VERSION", None)
    if not isinstance(version, str) or not version:
        raise PluginError(
            "A teacher function has no version.",
            expected='a line such as VERSION = "1"',
            found=repr(version),
            where=f"teachers.{teacher}: {registry.origin('function', options.function)}",
            next_step="add VERSION and change it whenever the answers change",
        )
    if options.version is not None and options.version != version:
        raise PluginError(
            "A teacher function has another version than the configuration wants.",
            expected=options.version,
            found=version,
            where=f"teachers.{teacher}.backend.version",
        )
    if not callable(getattr(module, "answer", None)):
        raise PluginError("A teacher function file has no answer(inputs).", where=f"teachers.{teacher}")
    return module
