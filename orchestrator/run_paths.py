"""Where things lie in a run folder, and what its small files say; whoever only looks loads no configuration models."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import FormatError
from foundation.words import secret_like

FORMAT = 1
STAGES = ("plan", "prepare", "preflight", "label", "search", "train", "evaluate", "controls", "report", "export")


@dataclass(frozen=True)
class RunPaths:
    """Where things lie in a run folder; nothing is made or opened by asking."""

    root: Path

    @property
    def facts(self) -> Path:
        return self.root / "run.json"

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def trials(self) -> Path:
        return self.root / "trials.jsonl"

    @property
    def search(self) -> Path:
        return self.root / "search.json"

    @property
    def students(self) -> Path:
        return self.root / "students"

    @property
    def predictions(self) -> Path:
        return self.root / "predictions"

    @property
    def train(self) -> Path:
        return self.root / "train"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def report_html(self) -> Path:
        return self.root / "report.html"

    @property
    def model_card(self) -> Path:
        return self.root / "model_card.md"

    @property
    def export(self) -> Path:
        return self.root / "export"

    def mark(self, stage: str) -> Path:
        return self.journal / "stages" / f"{stage}.json"


def driver_of(root: Path) -> dict[str, Any] | None:
    """Returns the live driver of a run folder ({pid, create_time, host, since}), or None when nobody drives it."""
    path = RunPaths(root).lock
    try:
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return owner_in(file.read())
    except OSError:
        return None
    return None


def owner_in(text: str) -> dict[str, Any]:
    """Returns what a lock file says about its holder; empty when it is torn."""
    try:
        owner = json.loads(text)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def read_facts(root: Path) -> dict[str, Any] | None:
    """Returns `run.json`, or None where there is none. Raises `FormatError` when it can't be read."""
    path = RunPaths(root).facts
    try:
        facts = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise FormatError("run.json is damaged.", where=path, next_step="move the folder away") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else "no mapping"
        raise FormatError("A run folder of another format.", expected=FORMAT, found=found, where=path)
    return facts


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """Returns command line arguments with the values of secret-like `--set` paths left out."""
    shown = []
    for argument in arguments:
        option = "--set=" if argument.startswith("--set=") else ""
        name, equals, _ = argument.removeprefix(option).partition("=")
        shown.append(f"{option}{name}=..." if equals and secret_like([name]) else argument)
    return shown
