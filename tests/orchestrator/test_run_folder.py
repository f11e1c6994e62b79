"""One driver per run folder, one configuration per run folder, marks that are whole or absent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from foundation import registry
from foundation.errors import ConfigError, FormatError, LockedError
from orchestrator.config.load import LoadedConfig, load_config
from orchestrator.run_folder import RunFolder, driver_of, without_secrets
from orchestrator.status import read_events, status_of, stop_run
from tests.orchestrator.example import write

HOLD = """
import sys, time
from pathlib import Path
from orchestrator.config.load import load_config
from orchestrator.run_folder import RunFolder
with RunFolder.open(load_config(sys.argv[1]), Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedConfig:
    # A run's identity holds the guests of its process, and tests before this one may have left some behind.
    monkeypatch.setattr(registry, "_guests", {})
    return load_config(write(tmp_path))


def hold(path: Path, run_dir: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(run_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_folder_lies_beside_the_configuration(loaded: LoadedConfig) -> None:
    with RunFolder.open(loaded, data="x") as folder:
        assert folder.root == loaded.base_dir / "runs" / f"example-{loaded.identity(data='x')[:12]}"
        assert not folder.resumed
        facts = json.loads(folder.paths.facts.read_text())
        assert facts["format"] == 1 and facts["fingerprint"] == folder.identity and facts["base_dir"] == "../.."
        assert facts["versions"]["python"]
    with RunFolder.open(loaded, data="x") as again:
        assert again.resumed
    stored = load_config(again.paths.config)
    assert stored.config == loaded.config


def test_a_second_driver_is_refused_and_told_who_works(loaded: LoadedConfig, tmp_path: Path) -> None:
    run_dir = tmp_path / "one"
    process = hold(tmp_path / "run.yaml", run_dir)
    try:
        assert driver_of(run_dir) is not None
        with pytest.raises(LockedError) as caught:
            RunFolder.open(loaded, run_dir)
        assert str(process.pid) in str(caught.value) and caught.value.exit_code == 75
        status = status_of(run_dir)
        assert status.to_json()["alive"] and str(process.pid) in status.text()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert driver_of(run_dir) is None
    with RunFolder.open(loaded, run_dir) as folder:  # a killed driver leaves no stale lock
        assert folder.resumed


def test_stop_signals_the_driver(loaded: LoadedConfig, tmp_path: Path) -> None:
    process = hold(tmp_path / "run.yaml", tmp_path / "one")
    assert stop_run(tmp_path / "one") == process.pid
    assert process.wait(10) == -signal.SIGTERM
    with pytest.raises(ConfigError, match="Nobody drives"):
        stop_run(tmp_path / "one")


def test_stop_never_signals_another_process(loaded: LoadedConfig, tmp_path: Path) -> None:
    process = hold(tmp_path / "run.yaml", tmp_path / "one")
    try:
        lock = tmp_path / "one" / "lock"
        owner = json.loads(lock.read_text())
        lock.write_text(json.dumps({**owner, "create_time": owner["create_time"] - 100}))
        with pytest.raises(Exception, match="another process"):
            stop_run(tmp_path / "one")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_another_configuration_is_refused(loaded: LoadedConfig, tmp_path: Path) -> None:
    RunFolder.open(loaded, tmp_path / "one").close()
    other = load_config(tmp_path / "run.yaml", ["train.epochs=3"])
    with pytest.raises(ConfigError, match="another configuration") as caught:
        RunFolder.open(other, tmp_path / "one")
    assert caught.value.exit_code == 2
    assert driver_of(tmp_path / "one") is None
    RunFolder.open(load_config(tmp_path / "run.yaml", ["train.workers=2"]), tmp_path / "one").close()


def test_marks(loaded: LoadedConfig, tmp_path: Path) -> None:
    with RunFolder.open(loaded, tmp_path / "one") as folder:
        assert folder.done("label") is None
        folder.mark("label", {"rows": 3})
        folder.mark("label", {"rows": 4})
        assert folder.done("label") == {"rows": 4}
        folder.paths.mark("search").write_text('{"facts": ')
        assert folder.done("search") is None and not folder.paths.mark("search").exists()
        assert not [name for name in os.listdir(folder.paths.journal / "stages") if name.endswith(".tmp")]
    status = status_of(tmp_path / "one")
    assert status.done == ("label",) and status.stage == "plan"


def test_damaged_or_foreign_facts_are_named(loaded: LoadedConfig, tmp_path: Path) -> None:
    RunFolder.open(loaded, tmp_path / "one").close()
    facts = tmp_path / "one" / "run.json"
    for text in ("{", "[]", '{"format": 2}'):
        facts.write_text(text)
        with pytest.raises(FormatError):
            RunFolder.open(loaded, tmp_path / "one")


def test_the_command_is_kept_without_secrets(loaded: LoadedConfig, tmp_path: Path) -> None:
    command = ["raydistill", "run", "run.yaml", "--set", "store.secret_key=CANARY", "train.epochs=3"]
    RunFolder.open(loaded, tmp_path / "one", command=command).close()
    text = (tmp_path / "one" / "run.json").read_text()
    assert "CANARY" not in text and "train.epochs=3" in text
    assert without_secrets(["--set=api_token=CANARY"]) == ["--set=api_token=..."]


def test_events_are_read_and_torn_lines_skipped(loaded: LoadedConfig, tmp_path: Path) -> None:
    with RunFolder.open(loaded, tmp_path / "one") as folder:
        folder.paths.events.write_text(f'{{"event": "A", "time": {time.time()}}}\n{{"event"')
    assert [event["event"] for event in read_events(tmp_path / "one", follow=True)] == ["A"]
    assert "last event: A" in status_of(tmp_path / "one").text()
    with pytest.raises(ConfigError, match="no run folder"):
        list(read_events(tmp_path, follow=False))
