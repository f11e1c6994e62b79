"""A user's own network: a guest file of kind `module`, given with `--plugin FILE`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

from foundation import registry
from foundation.errors import PluginError
from foundation.model import PluginOptions
from pipelines.student import StudentSpec


class Options(PluginOptions):
    """Calls `build(**options)` of the guest file `module`, which must return a `torch.nn.Module`.

    module: name of the guest (its file name without `.py`), a file with `KIND = "module"`.
    options: keyword arguments of its `build`; the number of classes is among them if the network needs it.
    """

    kind: Literal["torch_module"] = "torch_module"
    module: str
    options: dict[str, Any] = Field(default_factory=dict)


def build(options: Options, spec: StudentSpec) -> nn.Module:
    """Returns the guest's module. Raises `PluginError` when the guest can't build one from these options."""
    guest = registry.load("module", options.module)
    try:
        student = guest.build(**options.options)
    except (TypeError, ValueError, AttributeError) as error:
        raise PluginError("A module's `build` failed.", found=error, where=f"module {options.module}") from error
    if not isinstance(student, nn.Module):
        raise PluginError(
            "A module's `build` must return a torch.nn.Module.", found=type(student).__name__, where=options.module
        )
    return student
