"""The digits example: the data it writes, the teachers it declares, the torch teachers it trains."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from foundation import registry
from pipelines.data.config import DataConfig
from pipelines.data.dataset import Dataset, open_dataset
from teachers.build import context_for, load_teacher
from teachers.config import TeacherConfig
from teachers.label_plan import NOTHING, plan_units
from teachers.preflight import preflight

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


def script(name: str, *arguments: object) -> None:
    subprocess.run([sys.executable, str(DIGITS / name), *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("digits")
    script("make_data.py", "--out", made / "data" / "digits.parquet")
    return made


def example(name: str, folder: Path) -> tuple[Dataset, dict[str, TeacherConfig]]:
    text = yaml.safe_load((DIGITS / name).read_text(encoding="utf-8"))
    data = open_dataset(DataConfig.model_validate(text["data"]), folder)
    return data, {key: TeacherConfig.model_validate(value) for key, value in text["teachers"].items()}


def test_the_rows_are_those_of_the_story(folder: Path) -> None:
    data, _ = example("trust.yaml", folder)
    sizes = {name: len(data.positions(name)) for name in ("private", "transfer", "labelled", "test")}
    assert sizes == {"private": 500, "transfer": 697, "labelled": 40, "test": 600}
    assert Counter(data.labels_N[data.positions("labelled")].tolist()) == dict.fromkeys(range(10), 4)
    private = data.positions("private")
    digits = np.array(data.classes)[data.labels_N[private]]
    office = data.side["office_label"][private]
    takes_for = {"3": "8", "8": "3", "4": "9", "9": "4", "1": "7", "7": "1"}
    mixed_up = [takes_for[d] == o for d, o in zip(digits, office, strict=True) if d in takes_for]
    assert all(d == o or takes_for[d] == o for d, o in zip(digits, office, strict=True))
    assert 0.65 < np.mean(mixed_up) < 0.85
    outside = np.setdiff1d(data.positions("all"), private)
    assert all(value is None for value in data.side["office_label"][outside])


def test_another_seed_is_another_split(folder: Path, tmp_path: Path) -> None:
    script("make_data.py", "--split-seed", 1, "--out", tmp_path / "data" / "digits.parquet")
    script("make_data.py", "--split-seed", 0, "--out", tmp_path / "again.parquet")
    first, other = example("trust.yaml", folder)[0], example("trust.yaml", tmp_path)[0]
    assert set(first.ids[first.positions("test")]) != set(other.ids[other.positions("test")])
    assert (tmp_path / "again.parquet").read_bytes() == (folder / "data" / "digits.parquet").read_bytes()


def test_the_seven_teachers_know_what_they_should(folder: Path) -> None:
    data, teachers = example("trust.yaml", folder)
    test = data.positions("test")
    truth = np.array(data.classes)[data.labels_N[test]]
    accuracy = {}
    for name, config in teachers.items():
        context = context_for(name, config, data.classes, folder, data)
        teacher = load_teacher(name, config, context)
        preflight(teacher, data, classes=context.classes, batch_size=config.pool.batch_size)
        own = np.isin(truth, context.classes)
        said = np.array(context.classes)[teacher.logits(data.take(test[own])).argmax(axis=1)]
        accuracy[name] = float((said == truth[own]).mean())
    assert len(accuracy) == 7
    assert all((value < 0.6) if name.startswith("office") else (value > 0.94) for name, value in accuracy.items())


def test_every_teacher_has_at_least_sixteen_units(folder: Path) -> None:
    data, _ = example("trust.yaml", folder)
    wanted = np.concatenate([data.positions("transfer"), data.positions("test")])
    assert len(plan_units("t", "e", data, wanted, NOTHING, 40).units) >= 16


def test_the_torch_teachers(folder: Path) -> None:
    script("make_torch_teachers.py", "--data", folder / "data" / "digits.parquet", "--out", folder / "weights")
    for name in ("cnn", "mlp_teacher"):
        registry.add_guest_file(DIGITS / f"{name}.py")
    data, teachers = example("torch_teachers.yaml", folder)
    assert (data.labels_N[data.positions("transfer")] == -1).all() and len(data.positions("transfer")) == 657
    test = data.positions("test")
    for name, config in teachers.items():
        teacher = load_teacher(name, config, context_for(name, config, data.classes, folder, data))
        preflight(teacher, data, classes=data.classes, batch_size=64)
        said = teacher.logits(data.take(test)).argmax(axis=1)
        assert (said == data.labels_N[test]).mean() > 0.93, name


def test_the_tiny_run_has_three_teachers(folder: Path) -> None:
    data, teachers = example("tiny.yaml", folder)
    for name, config in teachers.items():
        load_teacher(name, config, context_for(name, config, data.classes, folder, data))
    assert len(teachers) == 3
