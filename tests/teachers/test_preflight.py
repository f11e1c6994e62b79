"""What preflight and prepare refuse, and that their messages lead on (F27)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foundation.errors import PreflightError, TeacherError
from teachers.build import context_for, load_teacher
from teachers.config import TeacherConfig
from teachers.meter import TeacherMeter
from teachers.preflight import ROW_BOUND, preflight
from teachers.prepare import SAME_LABEL_BOUND, Prepared, check_reproduces, prepare
from tests.teachers.helpers import SomeRows, function_teacher, install, some_rows

ABC = ("a", "b", "c")


def refused(name: str, body: str, **options: str) -> str:
    teacher = function_teacher(name, 'VERSION = "1"\nimport numpy as np\n' + body, **options)
    with pytest.raises(PreflightError) as caught:
        preflight(teacher, some_rows(), classes=ABC, batch_size=16)
    assert caught.value.exit_code == 3 and caught.value.where and name in caught.value.where
    return str(caught.value)


def test_a_good_teacher_passes_and_is_timed() -> None:
    teacher = function_teacher("good", 'VERSION = "1"\nCLASSES = ("a", "b", "c")\nanswer = lambda i: i["x"]')
    before = TeacherMeter.rows()
    report = preflight(teacher, some_rows(), classes=ABC, batch_size=16)
    assert report.rows == 8 and report.row_dependence == 0.0 and 0 < report.seconds_per_row < 1
    assert TeacherMeter.rows() - before == 8 + 8 + 8 + 8 + 16  # batch, again, permuted, singles, timing


def test_wrong_number_of_classes_shows_both_and_the_line_to_write() -> None:
    text = refused("four", 'CLASSES = ["a", "b", "c", "d"]\nanswer = lambda i: np.zeros((len(i["x"]), 4))')
    assert "expected: a, b, c" in text and "found: a, b, c, d" in text and 'classes: ["a", "b", "c", "d"]' in text


def test_wrong_number_of_classes_without_names() -> None:
    text = refused("five", 'answer = lambda i: np.zeros((len(i["x"]), 5))')
    assert "3 classes: a, b, c" in text and "found: 5 classes" in text and "classes: [...]" in text


def test_another_order_shows_the_line_to_write() -> None:
    text = refused("turned", 'CLASSES = ("c", "a", "b")\nanswer = lambda i: i["x"]')
    assert "another order" in text and 'classes: ["c", "a", "b"]' in text


def test_other_names() -> None:
    assert "other classes" in refused("other", 'CLASSES = ("a", "b", "x")\nanswer = lambda i: i["x"]')


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("nans", 'answer = lambda i: i["x"] * np.array([1, np.nan, 1])', "classes b"),
        ("infs", 'answer = lambda i: i["x"] * 0 + np.array([0, 0, -np.inf])', "classes c"),
        ("flat", 'answer = lambda i: i["x"][:, 0]', "wrong shape"),
        ("short", 'answer = lambda i: i["x"][:-1]', "wrong shape"),
        ("ragged", 'answer = lambda i: [[1.0, 2.0, 3.0]] * (len(i["x"]) - 1) + [[1.0]]', "ragged"),
        ("wordy", 'answer = lambda i: i["x"].astype(str)', "not numeric"),
        ("none", "answer = lambda i: None", "not numeric"),
        ("raises", 'answer = lambda i: i["y"]', "KeyError"),
        ("centred", 'answer = lambda i: i["x"] - i["x"].mean(axis=0)', "depends on the other rows"),
        ("placed", 'answer = lambda i: i["x"] + np.arange(len(i["x"]))[:, None]', "depends on the other rows"),
        ("rising", 'answer = lambda i: i["x"] + (i["x"][0, 0] < i["x"][-1, 0])', "depends on the other rows"),
        ("falling", 'answer = lambda i: i["x"] + (i["x"][0, 0] > i["x"][-1, 0])', "depends on the other rows"),
        ("random", 'answer = lambda i: np.random.default_rng().normal(size=i["x"].shape)', "differently each time"),
    ],
)
def test_answers_that_are_refused(name: str, body: str, says: str) -> None:
    assert says in refused(name, body)


def test_probabilities_have_to_be_some() -> None:
    assert "sum to 1" in refused("sums", 'answer = lambda i: abs(i["x"])', gives="probabilities")


def test_a_real_batch_norm_in_training_mode_is_caught(tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from torch import nn

    body = """
        from torch import nn
        class Stubborn(nn.BatchNorm1d):
            def train(self, mode=True):
                return super().train(True)
        def build():
            return Stubborn(3, track_running_stats=False)
    """
    install("module", "stubborn", body)
    save_file(nn.BatchNorm1d(3, track_running_stats=False).state_dict(), tmp_path / "w.safetensors")
    config = TeacherConfig.model_validate(
        {"backend": {"kind": "torch_module", "module": "stubborn", "weights": "w.safetensors"}}
    )
    teacher = load_teacher("stubborn", config, context_for("stubborn", config, ABC, tmp_path))
    with pytest.raises(PreflightError):
        preflight(teacher, some_rows(), classes=ABC, batch_size=8)


def test_rounding_is_no_dependence() -> None:
    body = f'VERSION = "1"\nanswer = lambda i: i["x"] + {ROW_BOUND / 4} * (len(i["x"]) == 1)'
    report = preflight(function_teacher("rounded", body), some_rows(), classes=ABC, batch_size=8)
    assert 0 < report.row_dependence <= ROW_BOUND


def test_few_rows_are_enough() -> None:
    teacher = function_teacher("good", 'VERSION = "1"\nanswer = lambda i: i["x"]')
    assert preflight(teacher, some_rows(1), classes=ABC, batch_size=4).rows == 1


# --- prepare ----------------------------------------------------------------------------------------------------------

SHIFTED = 'VERSION = "1"\nSHIFT = 0.0\ndef answer(inputs):\n    return inputs["x"] + SHIFT * (inputs["x"] > 1)'


def test_a_host_has_to_give_the_prepared_answers() -> None:
    rows, teacher = some_rows(30), function_teacher("shifted", SHIFTED)
    prepared = Prepared.from_json(prepare(teacher, rows).to_json())
    assert len(prepared.keys) == 8 and check_reproduces(prepared, teacher, rows) == 0.0
    module = teacher._inner._module  # type: ignore[attr-defined]
    module.SHIFT = SAME_LABEL_BOUND / 2
    assert 0 < check_reproduces(prepared, teacher, rows) <= SAME_LABEL_BOUND
    module.SHIFT = 0.25
    with pytest.raises(TeacherError, match=r"largest difference 0\.25 \(row [0-9a-f]{32}, class [abc]\)"):
        check_reproduces(prepared, teacher, rows)
    module.SHIFT = float("nan")
    with pytest.raises(TeacherError, match="largest difference inf"):
        check_reproduces(prepared, teacher, rows)


def test_a_host_with_another_card_or_other_data() -> None:
    rows = some_rows(30)
    prepared = prepare(function_teacher("shifted", SHIFTED), rows)
    with pytest.raises(TeacherError, match="another teacher"):
        check_reproduces(prepared, function_teacher("other", SHIFTED), rows)
    with pytest.raises(TeacherError, match="other data"):
        check_reproduces(prepared, function_teacher("shifted", SHIFTED), SomeRows(rows.x + 1))


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows, teacher = some_rows(30), function_teacher("shifted", SHIFTED)
    assert check_reproduces(prepare(teacher, rows), teacher, SomeRows(rows.x[::-1])) == 0.0


def test_the_meter_moves_with_every_answer() -> None:
    rows, teacher = some_rows(4), function_teacher("metered", SHIFTED)
    before, loads = TeacherMeter.rows("metered"), TeacherMeter.loads("metered")
    for _ in range(2):
        teacher.logits(rows.take(np.arange(4)))
    assert TeacherMeter.rows("metered") - before == 8 and loads >= 1
