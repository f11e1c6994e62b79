"""The command as a user meets it: exit codes, channels, messages, and what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from foundation.errors import StoppedError
from orchestrator.cli import output
from orchestrator.cli.main import main
from orchestrator.config.load import load_config
from orchestrator.run_folder import RunFolder
from tests.orchestrator.example import write

ROOT = Path(__file__).parents[3]
LIGHT = [["--help"], ["--version"], ["init", "x.yaml"], ["status", "one"], ["logs", "one"], ["cache", "ls", "--help"]]


def loaded_by(arguments: list[str], cwd: Path) -> set[str]:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"from orchestrator.cli.main import main\ncode = main({arguments!r})\n"
        "print(code, *sorted(name for name in ('torch', 'ray', 'pydantic', 'pyarrow') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120)
    code_text, *names = done.stdout.splitlines()[-1].split()
    assert code_text == "0", done.stderr
    return set(names)


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_verbs_load_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    if "one" in arguments:
        RunFolder.open(load_config(write(tmp_path)), tmp_path / "one").close()
    assert not loaded_by(arguments, tmp_path) & {"torch", "ray", "pyarrow"}


@pytest.mark.parametrize("verb", ["check", "plan"])
def test_check_and_plan_never_load_ray(verb: str, tmp_path: Path) -> None:
    assert "ray" not in loaded_by([verb, str(write(tmp_path))], tmp_path)


def test_init_writes_what_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.yaml"
    assert main(["init", str(path)]) == 0 and main(["check", str(path)]) == 0
    assert "#" in path.read_text()
    assert main(["init", str(path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["init", str(path), "--force"]) == 0


def test_json_is_one_object_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    for arguments in (["check", str(path), "--json"], ["plan", str(path), "--json"], ["plugins", "--json"]):
        assert main(arguments) == 0
        assert isinstance(json.loads(capsys.readouterr().out), dict)
    assert main(["check", str(path), "--json", "--set", "train.epochs=x"]) == 2
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["status"], told["exit_code"], told["error"]["code"]) == ("failed", 2, "E-CONFIG")
    assert "train.epochs" in told["error"]["problems"][0] and "train.epochs" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["check"], "Missing argument"),
        (["chekc", "x"], "No such command"),
        (["check", "no.yaml"], "raydistill init"),
        (["check", "no.yaml", "--nope"], "--nope"),
        (["status", "."], "no run folder"),
        (["stop", "."], "no run folder"),
        (["plugins", "methd"], "Unknown kind"),
        (["plugins", "method", "klx"], "Unknown method"),
        (["check", "no.yaml", "--plugin", "no.py"], "plug-in file"),
    ],
)
def test_mistakes_exit_2_with_a_sentence(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert told in err and "Traceback" not in err and out == ""


def test_the_unexpected_is_one_line_and_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("odd\x1b[31m")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("orchestrator.config.load.load_config", broken)
    assert main(["check", "run.yaml"]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "\x1b" not in err and "RuntimeError" in err
    (file,) = tmp_path.glob("raydistill-error-*.txt")
    assert str(file) in err and "Traceback" in file.read_text()


def test_status_and_logs_read_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "one"
    with RunFolder.open(load_config(write(tmp_path)), run_dir) as folder:
        folder.mark("plan", {})
        folder.paths.events.write_text('{"time": 1, "event": "Note", "text": "a\\u001b[31m"}\n')
        assert main(["status", str(run_dir), "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert status["alive"] and status["stages_done"] == ["plan"] and status["stage"] == "prepare"
    assert main(["status", str(run_dir)]) == 0
    assert "not running" in capsys.readouterr().out
    assert main(["logs", str(run_dir)]) == 0
    out = capsys.readouterr().out
    assert "Note" in out and "\x1b" not in out


def test_cache_ls_and_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    from orchestrator.plan import plan_of
    from teachers.build import card_of, context_for
    from teachers.cache.cache import LabelCache
    from teachers.cache.entry import entry_key

    loaded = load_config(write(tmp_path))
    assert main(["cache", "ls", str(tmp_path / "run.yaml")]) == 0
    assert "empty" in capsys.readouterr().out and not (tmp_path / "cache").exists()
    plan = plan_of(loaded)
    from pipelines.data.dataset import open_dataset

    config = loaded.config.teachers["forest"]
    dataset = open_dataset(loaded.config.data, tmp_path)
    card = card_of("forest", config, context_for("forest", config, loaded.config.data.classes, tmp_path, dataset))
    entry = LabelCache.open(loaded.config.cache, tmp_path).entry(entry_key(card, loaded.config.cache.codec))
    unit = plan.teachers[0].work[0]
    entry.publish([entry.write(unit, np.zeros((len(unit.keys), 10), np.float32), unit.keys)])
    for where in ("run.yaml", "cache"):
        assert main(["cache", "ls", str(tmp_path / where), "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)["entries"]
        assert (row["id"], row["rows"]) == (entry.id, 256)
    assert main(["cache", "show", str(tmp_path / "cache"), entry.id[:8]]) == 0
    assert "ExtraTreesClassifier" in capsys.readouterr().out
    assert main(["cache", "show", str(tmp_path / "cache"), "zz"]) == 2


def test_plugins_show_options_needs_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "lens", "temperature"]) == 0
    out = capsys.readouterr().out
    assert "value" in out and "source: pipelines/lenses/temperature.py" in out
    assert main(["plugins", "method", "--json"]) == 0
    assert {"kl", "cross_entropy"} <= {row["name"] for row in json.loads(capsys.readouterr().out)["plugins"]}


def test_plugins_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Options' docstring (formula, source) and needs; no marks of the reference's tables, no Python objects."""
    assert main(["plugins", "method", "kl"]) == 0
    out = capsys.readouterr().out
    assert "needs: teachers' logits" in out and "direction: forward | reverse" in out
    assert "log p_c - log q_c" in out or "KL(" in out
    assert "`" not in out.split("options:")[1] and "Needs(" not in out


def test_help_tells_every_verb_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["cache", "--help"]):
        assert main(arguments) == 0
        commands = capsys.readouterr().out.split("Commands:")[1]
        assert "..." not in commands and len(commands.splitlines()) > 2


def test_logs_round_and_leave_out_what_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "one"
    with RunFolder.open(load_config(write(tmp_path)), run_dir) as folder:
        event = {"time": 1, "event": "StageDone", "stage": "plan", "seconds": 0.0093347830006, "facts": {"rows": 1}}
        folder.paths.events.write_text(json.dumps(event) + "\n")
    assert main(["logs", str(run_dir)]) == 0
    assert capsys.readouterr().out.split(" ", 1)[1] == "StageDone stage=plan seconds=0.009335\n"
    assert main(["cache", "ls", str(tmp_path / "nowhere")]) == 2
    assert "a cache's folder or a configuration" in capsys.readouterr().err


def test_schema_describes_the_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["required"]) == {"format", "name", "data", "teachers", "label", "student", "objective", "train"}
    text = json.dumps(schema)
    assert all(reference in schema["$defs"] for reference in _references(text))
    assert main(["schema", "--markdown"]) == 0
    page = capsys.readouterr().out
    assert "## `train.optimizer`" in page and "### lens `temperature`" in page


def _references(text: str) -> set[str]:
    return {part.split('"')[0] for part in text.split("#/$defs/")[1:]}


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_stopped_run_ends_with_its_signals_code(number: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert output.failure(StoppedError("Stopped.", signal_number=number, next_step="raydistill run x.yaml")) == code
    assert "raydistill run x.yaml" in capsys.readouterr().err


def test_results_are_safe_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.text("a\x1b[2Jb\nc")
    assert capsys.readouterr().out == "a\\x1b[2Jb\nc\n"
