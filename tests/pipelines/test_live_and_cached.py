"""One interface, two ways: a real teacher asked live, and the same teacher's labels out of the real cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from foundation import registry
from foundation.errors import DataError
from pipelines.objective import Objective
from pipelines.objective_config import ObjectiveConfig
from pipelines.signal_source import CachedSource, LiveSource
from teachers.build import LogitTeacher
from teachers.host import TeacherHost
from teachers.label_plan import NOTHING, plan_units
from teachers.meter import TeacherMeter
from tests.teachers.helpers import SomeRows, entry_for, function_teacher, some_rows

CLASSES = ("a", "b", "c", "d")
KNOWN = {"linear": ("c", "a", "d"), "sure": CLASSES}
BODIES = {
    "linear": 'VERSION = "1"\ndef answer(inputs):\n    return inputs["x"] * 3 + 7\n',
    "sure": (
        'VERSION = "1"\nimport numpy as np\ndef answer(inputs):\n'
        '    x = inputs["x"]\n    return np.concatenate([x, 9 * x[:, :1]], axis=1)\n'
    ),
}
# fp16 keeps 11 bits of logits centred by their maximum; the gaps here stay below 64.
ERROR = {"fp16": 64 / 2**11, "fp32": 1e-5}


@pytest.fixture
def teachers(monkeypatch: pytest.MonkeyPatch) -> dict[str, LogitTeacher]:
    monkeypatch.setattr(registry, "_guests", dict(registry._guests))
    monkeypatch.setattr(registry, "_modules", dict(registry._modules))
    return {name: function_teacher(name, body, classes=KNOWN[name]) for name, body in BODIES.items()}


def cached(teachers: dict[str, LogitTeacher], rows: SomeRows, folder: Path, dtype: str, count: int) -> CachedSource:
    readers = {}
    for name, teacher in teachers.items():
        entry = entry_for(teacher, folder, dtype)
        host = TeacherHost(name, teacher, rows, entry, batch_size=8)
        plan = plan_units(name, entry.id, rows, np.arange(count), NOTHING, 7)
        entry.publish([host.label(unit) for unit in plan.units])
        readers[name] = entry.reader()
    return CachedSource(readers, KNOWN, rows.keys, CLASSES)


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
@pytest.mark.parametrize("fusion", ["losses", "mixture", "log_pool"])
def test_same_loss_within_the_codecs_error(
    dtype: str, fusion: str, teachers: dict[str, LogitTeacher], tmp_path: Path
) -> None:
    rows = some_rows(20)
    stored = cached(teachers, rows, tmp_path, dtype, 20)
    live = LiveSource(teachers, rows, CLASSES)
    positions = torch.tensor([3, 19, 0, 7])
    a, b = live.logits(positions), stored.logits(positions)
    assert torch.equal(a.class_mask_KC, b.class_mask_KC) and stored.complete
    probabilities = [
        torch.where(said.class_mask_KC.unsqueeze(1), said.logits_KBC, -torch.inf).softmax(-1) for said in (a, b)
    ]
    assert (probabilities[0] - probabilities[1]).abs().max() <= ERROR[dtype]
    assert a.logits_KBC.max() > 7  # a shift that the student can't see, but a reader must not lose

    term = {"rows": "all", "method": "kl", "fusion": fusion, "lenses": [{"kind": "temperature", "value": 2.0}]}
    config = ObjectiveConfig.model_validate({"terms": {"distill": term}})
    student = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    labels, losses = torch.full((20,), -1), []
    asked = TeacherMeter.rows()
    for source in (stored, live):
        made = Objective(config, {"all": torch.arange(20)}, labels, source)
        if source is live:
            assert TeacherMeter.rows() == asked  # the cache asked nobody
        sums = made.sums({"all": student}, {"all": positions}, {"all": labels[positions]})
        losses.append(float(sums["distill"].total))
    assert TeacherMeter.rows() == asked + 2 * len(positions)
    assert losses[0] == pytest.approx(losses[1], rel=20 * ERROR[dtype])


def test_rows_without_a_label_are_found_before_training(teachers: dict[str, LogitTeacher], tmp_path: Path) -> None:
    source = cached(teachers, some_rows(20), tmp_path, "fp32", 15)
    assert source.bind(torch.arange(15), [0, 1]).complete
    with pytest.raises(DataError, match="no cached label"):
        source.bind(torch.arange(16), [0, 1])
