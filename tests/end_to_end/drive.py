"""A small project and the real command line over it, as processes of their own, for tests that hurt them.

Two teachers are plain functions (files given with `--plugin`); a file in the project folder slows them down or makes
a row deadly, so a test needs no luck to meet a phase.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks import cli

CLASSES = ("a", "b", "c")
ROWS, TEST_ROWS, UNIT_ROWS = 150, 30, 12
LIMIT_S = 240.0
GONE_WITHIN_S = 30.0
ROOT = cli.ROOT
Event = dict[str, Any]
Process = tuple[int, float]

_TEACHER = """
import json, os, resource, signal, sys, time
from pathlib import Path
import numpy as np
KIND = "function"
VERSION = "1"
CENTRES = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
FOLDER = Path({folder!r})

def answer(inputs):
    x = inputs["x"].astype(np.float64)
    slow, poison = FOLDER / "slow", FOLDER / "poison"
    if (FOLDER / "full").exists() and "default_worker" in sys.argv[0]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))
    if slow.exists():
        time.sleep(float(slow.read_text()))
    if poison.exists() and (np.abs(x - json.loads(poison.read_text())) < 1e-6).all(1).any():
        os.kill(os.getpid(), signal.SIGKILL)
    turn = np.array([[np.cos({turn}), -np.sin({turn})], [np.sin({turn}), np.cos({turn})]])
    return -((x[:, None] @ turn - CENTRES) ** 2).sum(-1).astype(np.float32)
"""


class Project:
    """A folder with data, two guests and `run.yaml`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "run.yaml"
        self.x = self._write_data()
        for name, turn in (("plain", 0.0), ("turned", 0.6)):
            (folder / f"{name}.py").write_text(_TEACHER.format(folder=str(folder), turn=turn))
        self.config.write_text(yaml.safe_dump(_config(), sort_keys=False))

    def _write_data(self) -> np.ndarray:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, ROWS)
        x = np.array([[0, 2], [2, -1], [-2, -1]])[labels] + rng.normal(scale=1.2, size=(ROWS, 2))
        x = x.round(3).astype(np.float32)
        test = np.arange(ROWS) >= ROWS - TEST_ROWS
        known = test | (np.arange(ROWS) < 30)
        table = {
            "x": pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 2),
            "y": pa.array([CLASSES[label] if ok else None for label, ok in zip(labels, known, strict=True)]),
            "split": pa.array(np.where(test, "test", "transfer").tolist()),
        }
        pq.write_table(pa.table(table), self.folder / "data.parquet")
        return x

    def slow(self, seconds: float | None) -> None:
        """Makes each batch of each teacher take this long; None: no longer."""
        self._note("slow", None if seconds is None else str(seconds))

    def poison(self, row: int | None) -> None:
        """Makes this row deadly for both teachers; None: harmless again."""
        self._note("poison", None if row is None else json.dumps(self.x[row].tolist()))

    def full(self, yes: bool) -> None:
        """Makes labelling actors unable to write more than 9 000 bytes into a file: their storage is full."""
        self._note("full", "yes" if yes else None)

    def _note(self, name: str, text: str | None) -> None:
        if text is None:
            (self.folder / name).unlink(missing_ok=True)
        else:
            (self.folder / name).write_text(text)

    def start(self, verb: str, run: str, *options: str, cache: str = "cache", **how: Any) -> Command:
        """Starts a verb on `run.yaml` with the run folder `run`."""
        guests = [f"--plugin={self.folder / name}.py" for name in ("plain", "turned")]
        where = ["--run-dir", str(self.folder / run), "--set", f"cache.root={cache}"]
        return Command([verb, self.config, *where, *guests, *options, "--json"], self.folder / run, **how)

    def run(self, verb: str, run: str, *options: str, cache: str = "cache", **how: Any) -> Done:
        """The same, to the end."""
        return self.start(verb, run, *options, cache=cache, **how).end()


class Done:
    """A command that ended: exit code, its JSON, what it said on stderr, its events, all processes it had."""

    def __init__(self, code: int, stdout: str, stderr: str, events: list[Event], processes: dict[Process, str]) -> None:
        self.code, self.stdout, self.stderr, self.events, self.processes = code, stdout, stderr, events, processes

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def counters(self) -> dict[str, int]:
        return dict(self.json["counters"])

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event["event"] == kind]

    def stage(self, name: str) -> Event:
        return next(event for event in self.of("StageDone") if event["stage"] == name)

    def left_behind(self) -> dict[Process, str]:
        """Processes that outlive the command by 30 s; returns as soon as there is none."""
        until = time.monotonic() + GONE_WITHIN_S
        while (left := {each: what for each, what in self.processes.items() if is_alive(each)}) and (
            time.monotonic() < until
        ):
            time.sleep(0.2)
        return left


class Command:
    """A command under way."""

    def __init__(self, arguments: list[Any], run_dir: Path, *, program: list[str] | None = None, **how: Any) -> None:
        self._log = run_dir.parent / f"{run_dir.name}-{time.monotonic_ns()}"
        self._events = run_dir / "events.jsonl"
        self._offset = self._events.stat().st_size if self._events.exists() else 0
        self._seen: list[Event] = []
        self._processes: dict[Process, str] = {}
        command = [sys.executable, *program, *map(str, arguments)] if program else cli.command(*arguments)
        with self._log.with_suffix(".out").open("wb") as out, self._log.with_suffix(".err").open("wb") as err:
            self.driver = subprocess.Popen(
                command, env=cli.environment(), stdout=out, stderr=err, start_new_session=True, **how
            )

    def events(self) -> list[Event]:
        """All events of this command so far."""
        if self._events.exists():
            with self._events.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._offset += len(whole)
            for line in whole.splitlines():
                try:
                    self._seen.append(json.loads(line))
                except ValueError:  # the half line an earlier, killed driver left
                    continue
        return self._seen

    def wait_for(self, wanted: Callable[[Event], bool], times: int = 1) -> Event:
        """Returns the event for which `wanted` is true for the given time."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            found = [event for event in self.events() if wanted(event)]
            if len(found) >= times:
                self._scan()
                return found[times - 1]
            assert self.driver.poll() is None, f"ended with {self.driver.returncode}: {self._text('.err')}"
            self._scan()
            time.sleep(0.02)
        raise TimeoutError(self._text(".err"))

    def wait_stage(self, stage: str, then_s: float = 0.0) -> None:
        """Returns this long after the stage has begun."""
        self.wait_for(lambda event: event["event"] == "StageStarted" and event["stage"] == stage)
        time.sleep(then_s)
        self._scan()

    def daemons(self, name: str) -> list[psutil.Process]:
        """Descendants of the command whose program has this name."""
        found = []
        for process in psutil.Process(self.driver.pid).children(recursive=True):
            try:
                if process.name() == name:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def signal(self, number: int) -> None:
        self._scan()
        os.kill(self.driver.pid, number)

    def kill(self) -> Done:
        """SIGKILLs the driver."""
        self.signal(signal.SIGKILL)
        return self.end()

    def end(self, limit_s: float = LIMIT_S) -> Done:
        """Waits for the end."""
        until = time.monotonic() + limit_s
        while self.driver.poll() is None and time.monotonic() < until:
            self._scan()
            time.sleep(0.1)
        if self.driver.poll() is None:
            self.driver.kill()
            self.driver.wait(30)
            raise TimeoutError(self._text(".err"))
        return Done(self.driver.returncode, self._text(".out"), self._text(".err"), self.events(), self._processes)

    def _text(self, suffix: str) -> str:
        return self._log.with_suffix(suffix).read_text(encoding="utf-8", errors="replace")

    def _scan(self) -> None:
        try:
            children = psutil.Process(self.driver.pid).children(recursive=True)
        except psutil.Error:
            return
        for process in children:
            try:
                self._processes.setdefault((process.pid, process.create_time()), process.name())
            except psutil.Error:
                continue


def is_alive(process: Process) -> bool:
    try:
        found = psutil.Process(process[0])
        return bool(found.create_time() == process[1] and found.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def verb(*arguments: str | Path, **how: Any) -> subprocess.CompletedProcess[str]:
    """Runs any verb to its end."""
    command, environment = cli.command(*arguments), cli.environment()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, **how)


def shards(cache: Path) -> Iterator[Path]:
    """All shards of a cache that are in use."""
    for path in sorted(cache.rglob("*.arrow")):
        if "quarantine" not in path.parts:
            yield path


def report(run_dir: Path) -> Any:
    return json.loads((run_dir / "report.json").read_text(encoding="utf-8"))


def numbers(run_dir: Path) -> dict[str, Any]:
    """What two runs over the same labels have in common, to the last digit."""
    told = report(run_dir)
    students = [
        {key: value for key, value in one.items() if key not in ("seconds_per_row", "latency", "bytes")}
        for one in told["students"]
    ]
    return {"students": _plain(students), "comparisons": told["comparisons"], "controls": _plain(told["controls"])}


def _plain(value: Any) -> Any:
    """The value without anything that a clock has measured."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if "second" not in name and "latency" not in name}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _config() -> dict[str, Any]:
    guest = {name: {"backend": {"kind": "function", "function": name}, "pool": {"batch_size": 4}} for name in _NAMES}
    weights = dict.fromkeys(_NAMES, 1.0)
    distill = {
        "rows": "transfer",
        "method": "kl",
        "weighting": {"kind": "fixed", "weights": weights},
        "lenses": [{"kind": "temperature", "value": 2.0}],
        "share": 0.8,
    }
    return {
        "format": 1,
        "name": "small",
        "data": {
            "source": {"kind": "parquet", "path": "data.parquet"},
            "inputs": ["x"],
            "label": "y",
            "classes": list(CLASSES),
            "split": {"column": "split"},
            "splits": {
                "transfer": {"values": ["transfer"]},
                "labelled": {"values": ["transfer"], "labelled": True},
                "test": {"values": ["test"]},
            },
        },
        "teachers": guest,
        "cache": {"root": "cache", "unit_rows": UNIT_ROWS},
        "label": {"rows": ["transfer", "test"]},
        "student": {"kind": "mlp", "hidden": [8]},
        "objective": {
            "terms": {"distill": distill, "labels": {"rows": "labelled", "method": "cross_entropy", "share": 0.2}}
        },
        "train": {
            "epochs": 4,
            "batch": {"transfer": 32, "labelled": 30},
            "optimizer": {"kind": "adam", "lr": 5e-3},
            "workers": 1,
            "checkpoint_every": 1,
        },
        "search": {
            "trials": 6,
            "epochs": 2,
            "folds": 2,
            "concurrent": 1,
            "score": {"metric": "accuracy", "rows": "labelled", "nll_weight": 0.1},
            "space": {
                "objective.terms.distill.lenses.0.value": {"kind": "log_uniform", "low": 1, "high": 8},
                "objective.terms.distill.weighting.weights": {"kind": "simplex", "zero_below": 0.2},
            },
        },
        "compare": {"seeds": [0, 1], "tuning": {"temperatures": [2], "label_shares": [0.2]}, "test": "test"},
    }


_NAMES = ("plain", "turned")
