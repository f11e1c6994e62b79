"""One folder per run: who drives it, what it was started with, how far it is.

`run.json` says format, versions, command and identity; `lock` is held with flock(2) by the one driver there may be,
so a killed driver leaves no stale lock; `journal/stages/` holds one mark per finished stage. The folder's name holds
the identity of everything that decides results, so another configuration gets another folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import psutil
import yaml

from foundation.errors import ConfigError, LockedError
from foundation.words import plain_text
from orchestrator.config.load import LoadedConfig
from orchestrator.files import storage_error, write_atomic, write_json
from orchestrator.run_paths import (
    FORMAT,
    STAGES,
    RunPaths,
    driver_of,
    owner_in,
    read_facts,
    without_secrets,
)

__all__ = ["STAGES", "RunFolder", "RunPaths", "default_folder", "driver_of", "read_facts", "without_secrets"]

_PACKAGES = ("raydistill", "ray", "torch", "pyarrow", "numpy", "scikit-learn", "optuna", "pydantic")
_FOLDERS = (
    "journal/stages",
    "journal/loads",
    "journal/trials",
    "journal/deaths",
    "students",
    "predictions",
    "train",
    "export",
)


class RunFolder:
    """An opened run folder: this process is its driver until `close`. Also a context manager."""

    def __init__(self, root: Path, identity: str, lock: IO[str], *, resumed: bool) -> None:
        self.paths = RunPaths(root)
        self.root = root
        self.identity = identity
        self.resumed = resumed
        self._lock = lock

    @classmethod
    def open(
        cls,
        loaded: LoadedConfig,
        run_dir: Path | None = None,
        *,
        command: Sequence[str] | None = None,
        **decides: str,
    ) -> RunFolder:
        """Opens or makes the folder and takes its lock.

        Args:
            loaded: the configuration.
            run_dir: the folder; default `runs/<name>-<12 digits of the identity>` beside the configuration.
            command: what the user typed, kept for the report; default: this process's arguments.
            decides: further fingerprints that decide results, such as the data's.

        Raises:
            LockedError: another driver works there.
            ConfigError: the folder belongs to a run with another configuration.
            StorageError: it can't be written.
        """
        identity = loaded.identity(**decides)
        root = run_dir if run_dir is not None else default_folder(loaded, identity)
        paths = RunPaths(root)
        try:
            for name in _FOLDERS:
                (root / name).mkdir(parents=True, exist_ok=True)
            lock = _take_lock(paths)
        except OSError as error:
            raise storage_error(error, root) from error
        try:
            resumed = _same_run(paths, identity)
            if not resumed:
                write_atomic(
                    paths.config, yaml.safe_dump(loaded.config.tree(), sort_keys=False, allow_unicode=True).encode()
                )
                write_json(paths.facts, _facts(loaded, identity, root, command))
        except BaseException:
            lock.close()
            raise
        return cls(root, identity, lock, resumed=resumed)

    def mark(self, stage: str, facts: dict[str, Any]) -> None:
        """Records that a stage is finished, with facts a resumed run needs; a synced, whole file."""
        write_json(self.paths.mark(stage), {"stage": stage, "finished": time.time(), "facts": facts})

    def done(self, stage: str) -> dict[str, Any] | None:
        """Returns the facts of a finished stage, or None. A damaged mark is set aside: the stage runs again."""
        path = self.paths.mark(stage)
        try:
            facts = json.loads(path.read_bytes())["facts"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            path.rename(path.with_suffix(".damaged"))
            return None
        return facts if isinstance(facts, dict) else None

    def close(self) -> None:
        """Gives the lock back."""
        self._lock.close()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def default_folder(loaded: LoadedConfig, identity: str) -> Path:
    """Returns `runs/<name>-<12 digits>` beside the configuration."""
    return loaded.base_dir / "runs" / f"{loaded.config.name}-{identity[:12]}"


def _take_lock(paths: RunPaths) -> IO[str]:
    file = paths.lock.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = owner_in(file.read())
        file.close()
        raise LockedError(
            "Another driver works in this run folder.",
            found=f"process {owner.get('pid', 'unknown')} on {plain_text(str(owner.get('host', 'unknown')))}",
            where=paths.root,
            next_step=f"wait for it, or stop it with `raydistill stop {paths.root}`, or give another --run-dir",
        ) from None
    file.truncate(0)
    process = psutil.Process()
    owner = {
        "pid": os.getpid(),
        "create_time": process.create_time(),
        "host": socket.gethostname(),
        "since": time.time(),
    }
    file.write(json.dumps(owner))
    file.flush()
    return file


def _same_run(paths: RunPaths, identity: str) -> bool:
    facts = read_facts(paths.root)
    if facts is None:
        return False
    if facts.get("fingerprint") != identity:
        raise ConfigError(
            "This run folder belongs to a run with another configuration, other plug-ins or other data.",
            expected=str(facts.get("fingerprint"))[:12],
            found=identity[:12],
            where=paths.root,
            next_step="give another --run-dir, or none: each configuration gets a folder of its own",
        )
    return True


def _facts(loaded: LoadedConfig, identity: str, root: Path, command: Sequence[str] | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": loaded.config.name,
        "fingerprint": identity,
        "created": time.time(),
        "command": without_secrets(command if command is not None else ["raydistill", *sys.argv[1:]]),
        "config_file": loaded.name,
        "base_dir": os.path.relpath(loaded.base_dir, root),
        "sets": without_secrets(loaded.sets),
        "plugins": [{"kind": guest.kind, "name": guest.name, "digest": guest.digest} for guest in loaded.guests],
        "versions": {
            "python": sys.version.split()[0],
            **{name: found for name in _PACKAGES if (found := _version(name))},
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
