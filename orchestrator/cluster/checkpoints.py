"""Checkpoints of the roster's training: one state of one job, proven by digests.

A checkpoint is a folder with `state.safetensors` and `checkpoint.json`, which is written last and names job, epoch,
size and digest. Ray Train copies reported folders to `<storage>/<run>/`; which of them are good is decided here, from
the stored bytes alone: Ray's own list may name folders that are damaged or gone, and may be damaged itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import CorruptionError
from foundation.fingerprint import digest, fingerprint
from orchestrator.files import write_atomic, write_json
from pipelines.loop import LoopState

FORMAT = 1
_FACTS = "checkpoint.json"
_STATE = "state.safetensors"
_SNAPSHOT = "checkpoint_manager_snapshot.json"


@dataclass(frozen=True)
class Found:
    """A valid checkpoint: `job` is the fingerprint of the job it belongs to, `number` its place among all."""

    path: Path
    job: str
    number: int
    state: LoopState


@dataclass(frozen=True)
class Damaged:
    """A checkpoint that can't be used, and why."""

    path: Path
    reason: str


def write_checkpoint(folder: Path, job: str, number: int, state: LoopState) -> None:
    """Writes a checkpoint into an empty folder. `number` grows over the whole roster: the newest has the largest."""
    data = state.to_bytes()
    write_atomic(folder / _STATE, data)
    facts = {"format": FORMAT, "job": job, "number": number, "epoch": state.epoch, "digest": digest(data)}
    write_json(folder / _FACTS, {**facts, "seal": fingerprint(facts)})


def newest_valid(storage: Path) -> Iterator[Damaged | Found]:
    """Yields damaged checkpoints, newest first, until a valid one is found, which comes last."""
    for folder in sorted(_folders(storage), key=_order, reverse=True):
        try:
            yield (found := _read(folder))
            if isinstance(found, Found):
                return
        except (OSError, ValueError, KeyError, TypeError, AttributeError, CorruptionError) as error:
            yield Damaged(folder, f"{type(error).__name__}: {error}".splitlines()[0][:200])


def repair_snapshot(storage: Path) -> Damaged | None:
    """Sets Ray's list of checkpoints aside when it can't be read or names one that is gone.

    Ray refuses to start otherwise; our own search needs no list.
    """
    path = storage / _SNAPSHOT
    if not path.exists():
        return None
    try:
        names = _named(json.loads(path.read_bytes()))
        missing = sorted(name for name in names if not (storage / name).is_dir())
        reason = f"it names a checkpoint that is gone: {missing[0]}" if missing else ""
    except (OSError, ValueError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
    if not reason:
        return None
    path.replace(path.with_suffix(f".damaged-{len(list(storage.glob('*.damaged-*')))}"))
    return Damaged(path, reason)


def _folders(storage: Path) -> list[Path]:
    if not storage.is_dir():
        return []
    return [folder for folder in storage.iterdir() if folder.is_dir() and folder.name.startswith("checkpoint_")]


def _facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / _FACTS).read_bytes())
    if facts.pop("seal") != fingerprint(facts):
        raise ValueError(f"{_FACTS} is not what was written")
    return facts


def _order(folder: Path) -> tuple[int, str]:
    try:
        return int(_facts(folder)["number"]), folder.name
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 1 << 60, folder.name  # unreadable: looked at first, so that it is named


def _read(folder: Path) -> Found | Damaged:
    facts = _facts(folder)
    if facts["format"] != FORMAT:
        return Damaged(folder, f"format {facts['format']}")
    data = (folder / _STATE).read_bytes()
    if digest(data) != facts["digest"]:
        return Damaged(folder, f"expected blake3 {facts['digest']}, found {digest(data)}")
    return Found(folder, str(facts["job"]), int(facts["number"]), LoopState.from_bytes(data))


def _named(snapshot: dict[str, object]) -> set[str]:
    """Folder names anywhere in Ray's list, whatever version wrote it."""
    found: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "checkpoint_dir_name" and isinstance(inner, str):
                    found.add(inner)
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(snapshot)
    return found
