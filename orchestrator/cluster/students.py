"""Finished students on disk: `students/<name>/<seed>.safetensors` and, written after it, a JSON with its digest.

The JSON is the commit: without it, or when bytes and digest differ, the student counts as unfinished and is trained
again. Nothing here knows Ray.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foundation.errors import CorruptionError, StorageError
from foundation.fingerprint import digest
from orchestrator.files import write_atomic, write_json

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@=,+-]{0,119}\Z")


@dataclass(frozen=True)
class StudentStore:
    """The `students/` folder of a run."""

    root: Path

    def weights(self, name: str, seed: int) -> Path:
        """Path of a student's weights. Raises `StorageError` for a name that could leave the folder."""
        if not _NAME.match(name):
            raise StorageError("A student's name can't be a folder.", expected=_NAME.pattern, found=repr(name))
        return self.root / name / f"{seed}.safetensors"

    def facts(self, name: str, seed: int) -> dict[str, Any] | None:
        """Returns what was recorded with a student, or None if there is none, or none that can be read."""
        try:
            facts = json.loads(self.weights(name, seed).with_suffix(".json").read_bytes())
            return facts if facts["format"] == FORMAT else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finished(self, name: str, seed: int, job: str) -> bool:
        """Whether this very job (fingerprint) is done and its weights are what was written."""
        facts = self.facts(name, seed)
        if facts is None or facts.get("job") != job:
            return False
        try:
            return bool(digest(self.weights(name, seed).read_bytes()) == facts["digest"])
        except OSError:
            return False

    def commit(self, name: str, seed: int, student: nn.Module, job: str, facts: Mapping[str, Any]) -> None:
        """Stores a student durably: weights first, then the JSON that makes them count."""
        import safetensors.torch

        # Parameters are views of one flat vector; safetensors refuses tensors that share memory.
        tensors = {key: value.detach().cpu().clone().contiguous() for key, value in student.state_dict().items()}
        data = safetensors.torch.save(tensors)
        path = self.weights(name, seed)
        write_atomic(path, data)
        parameters = sum(parameter.numel() for parameter in student.parameters())
        known = {"format": FORMAT, "name": name, "seed": seed, "job": job, "digest": digest(data), "bytes": len(data)}
        write_json(path.with_suffix(".json"), {**known, "parameters": parameters, **facts})

    def load(self, name: str, seed: int) -> dict[str, Tensor]:
        """Returns a student's tensors. Raises `CorruptionError` when the bytes aren't what was written."""
        import safetensors.torch

        path, facts = self.weights(name, seed), self.facts(name, seed)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StorageError("A student's weights can't be read.", found=error.strerror, where=path) from error
        if facts is None or digest(data) != facts["digest"]:
            raise CorruptionError(
                "A student's weights are not what was written.",
                expected=facts["digest"] if facts else "a record beside them",
                found=digest(data),
                where=path,
                next_step="remove the file and run the same command again: this student is trained anew",
            )
        return safetensors.torch.load(data)
