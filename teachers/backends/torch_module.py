"""A torch module with stored weights: `module` is a guest file that builds it, weights are safetensors.

    KIND = "module"
    def build(**options): ...           # -> torch.nn.Module; forward takes one tensor, gives [B, C]
    CLASSES = ("0", "1")                # optional: lets preflight compare names and order

Pickled weights are read only with `allow_pickle: true` and a `sha256` pin, after the hash matched, and then by
`torch.load(weights_only=True)`. The weights' fingerprint is a Merkle digest over (name, dtype, shape, blake3 of the
bytes), sorted by name, buffers included: the same in either file format.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue, model_validator

from foundation import registry
from foundation.errors import DataError, PluginError, TeacherError
from foundation.fingerprint import digest, fingerprint
from teachers.card import TeacherCard
from teachers.guests import source_digest
from teachers.preprocess import Preprocess
from teachers.rows import Inputs
from teachers.signals import Logits, Signal, SignalRequest
from teachers.teacher import BackendOptions, TeacherContext

if TYPE_CHECKING:
    import torch

VERSION = "1"
_SAFE = ".safetensors"


class Options(BackendOptions):
    """A torch module: `module` names the guest file, `options` go to its `build`, `weights` is the file.

    `dtype` is the precision it computes in; answers are float32 in any case.
    """

    kind: Literal["torch_module"] = "torch_module"
    module: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    weights: str
    preprocess: Preprocess = Field(default_factory=Preprocess)
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    allow_pickle: bool = False
    sha256: str | None = None

    @model_validator(mode="after")
    def _weights_are_safe(self) -> Options:
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError("sha256 has to be 64 lower-case hex digits")
        if self.weights.endswith(_SAFE):
            return self
        if not self.allow_pickle:
            raise ValueError(f"weights is no {_SAFE} file, so it may run code; convert it, or set allow_pickle: true")
        if self.sha256 is None:
            raise ValueError("pickled weights need sha256: the hash of the file you trust")
        return self


def card(options: Options, context: TeacherContext) -> TeacherCard:
    """Returns the identity; reads the weight file to hash it, builds nothing."""
    return TeacherCard(
        architecture={
            "backend": "torch_module",
            "module": options.module,
            "source": source_digest("module", options.module),
            "options": dict(options.options),
        },
        weights={"tensors": _digest(options, context)},
        preprocessing=options.preprocess.card(),
        classes=context.classes,
        gives=options.gives,
        floor=options.floor if options.gives == "probabilities" else None,
        numerics={"dtype": options.dtype, "tf32": False},
        version=VERSION,
    )


def load(options: Options, context: TeacherContext) -> TorchTeacher:
    """Builds the module, loads its weights strictly, sets it to evaluation. Raises `TeacherError` if they don't fit."""
    import torch

    where = f"teachers.{context.name}.backend"
    state, names = read_weights(_path(options, context), options.sha256)
    factory = registry.load("module", options.module)
    if not callable(getattr(factory, "build", None)):
        raise PluginError("A module file has no build(**options).", where=registry.origin("module", options.module))
    model = factory.build(**options.options)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise TeacherError(
            "Weights don't fit the module.",
            found=str(error)[:600],
            where=where,
            next_step="check that module, options and weights belong together",
        ) from error
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    model = model.to(device=context.device, dtype=getattr(torch, options.dtype)).eval()
    own = getattr(factory, "CLASSES", None) or names
    return TorchTeacher(model, options, card(options, context), context.device, tuple(own) if own else None)


class TorchTeacher:
    """A module in evaluation mode; no gradients, no randomness, no statistics of the batch."""

    def __init__(
        self, model: torch.nn.Module, options: Options, own_card: TeacherCard, device: str, own: tuple[str, ...] | None
    ) -> None:
        self.card = own_card
        self.own_classes = own
        self._model: torch.nn.Module | None = model
        self._options = options
        self._device = device

    def answer(self, inputs: Inputs, requests: Sequence[SignalRequest]) -> Mapping[SignalRequest, Signal]:
        """Returns the module's output [B, C], float32, under each request."""
        import torch

        if self._model is None:
            raise TeacherError("A closed teacher was asked.")
        x_BD = torch.from_numpy(self._options.preprocess.apply(inputs))
        with torch.inference_mode():
            out = self._model(x_BD.to(device=self._device, dtype=getattr(torch, self._options.dtype)))
        if not isinstance(out, torch.Tensor):
            raise TeacherError("A torch teacher's forward must give one tensor [B, C].", found=type(out).__name__)
        values_BC = out.float().cpu().numpy()
        return {request: Logits(values_BC) for request in requests}

    def close(self) -> None:
        """Drops the module, so that its memory can be used again."""
        self._model = None


def read_weights(path: Path, sha256: str | None) -> tuple[dict[str, torch.Tensor], tuple[str, ...] | None]:
    """Returns the tensors by name, and the class names if a safetensors file carries `classes` (JSON) in its metadata.

    Raises `DataError` for a missing or broken file, and `TeacherError` when the hash isn't the pinned one.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise DataError("A weight file is missing.", expected=path.name, where="backend.weights")
    if sha256 is not None:
        data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise TeacherError("Weights are not the pinned ones.", expected=sha256, found=found, where=path.name)
    if path.suffix == _SAFE:
        try:
            with safe_open(path, framework="pt") as file:
                names = (file.metadata() or {}).get("classes")
                state = {name: file.get_tensor(name) for name in file.keys()}
        except SafetensorError as error:
            raise DataError("A weight file can't be read.", found=str(error)[:200], where=path.name) from error
        return state, tuple(str(name) for name in json.loads(names)) if names else None
    if sha256 is None:
        raise TeacherError("Pickled weights without a pin are never read.", where=path.name)
    loaded: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)  # the very bytes that were hashed
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise TeacherError("Pickled weights have to be a state dict.", found=type(loaded).__name__, where=path.name)
    return dict(loaded), None


def weights_digest(state: Mapping[str, torch.Tensor]) -> str:
    """Returns the Merkle digest (64 hex digits) of named tensors, whatever file they came from."""
    import torch

    leaves = []
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        data = tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        leaves.append([name, str(tensor.dtype).removeprefix("torch."), list(tensor.shape), digest(data)])
    return fingerprint(leaves)


def _path(options: Options, context: TeacherContext) -> Path:
    return context.base_dir / options.weights


def _digest(options: Options, context: TeacherContext) -> str:
    path = _path(options, context)
    if not path.is_file():
        raise DataError(
            "A weight file is missing.",
            expected=options.weights,
            where=f"teachers.{context.name}.backend.weights",
            next_step="paths are relative to the configuration file",
        )
    facts = path.stat()
    return _digest_of(path, options.sha256, facts.st_size, facts.st_mtime_ns, facts.st_ino)


@lru_cache(maxsize=64)
def _digest_of(path: Path, sha256: str | None, size: int, mtime_ns: int, inode: int) -> str:
    return weights_digest(read_weights(path, sha256)[0])
