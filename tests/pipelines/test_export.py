"""A student that leaves the house answers as it did inside; an altered file is refused before it is parsed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from foundation import registry
from foundation.errors import CorruptionError, DataError, FormatError, PreflightError, StorageError
from foundation.fingerprint import digest_file
from pipelines import export
from pipelines.student import StudentSpec, make_student
from pipelines.students.mlp import Options

SPEC = StudentSpec((8, 8), ("zero", "eins", "z\u00fcwei"))
OPTIONS = Options(hidden=(12,))
ROWS = np.random.default_rng(0).normal(size=(33, 8, 8)).astype(np.float32)
needs_onnx = pytest.mark.skipif(not export.has_onnx(), reason="the extra `onnx` is not installed")


def exported(folder: Path, *formats: export.Format, student: nn.Module | None = None) -> list[export.ExportResult]:
    student = student or make_student(OPTIONS, SPEC, seed=3)
    return export.export_student(
        student, options=OPTIONS, spec=SPEC, columns=["pixels"], inputs_N=ROWS, folder=folder, formats=formats
    )


def test_a_student_comes_back_bit_for_bit(tmp_path: Path) -> None:
    student = make_student(OPTIONS, SPEC, seed=3)
    student.train()
    (found,) = exported(tmp_path, "safetensors", student=student)
    assert (found.max_difference, found.argmax_equal, found.rows) == (0.0, True, 33)
    assert found.digest == digest_file(Path(found.path)) and student.training
    again = export.load_exported(tmp_path)
    assert not again.training
    student.eval()
    with torch.no_grad():
        assert torch.equal(again(torch.from_numpy(ROWS)), student(torch.from_numpy(ROWS)))


def test_the_description_says_all_a_user_needs(tmp_path: Path) -> None:
    exported(tmp_path, "safetensors")
    facts = json.loads((tmp_path / "student.json").read_text())
    assert facts["classes"] == list(SPEC.classes) and facts["input_columns"] == ["pixels"]
    assert facts["input_shape"] == [8, 8] and facts["preprocessing"] == "none" and facts["output"] == "logits"
    assert facts["student"] == {"kind": "mlp", "hidden": [12], "activation": "relu", "scale": 1.0}
    assert {path.name for path in tmp_path.iterdir()} == {"student.json", "student.safetensors"}


@needs_onnx
def test_onnx_answers_within_the_tolerance_for_any_number_of_rows(tmp_path: Path) -> None:
    import onnxruntime

    (found,) = exported(tmp_path, "onnx")
    assert found.max_difference <= 1e-4 and found.argmax_equal
    session = onnxruntime.InferenceSession(found.path, providers=["CPUExecutionProvider"])
    for rows in (1, 2, 33):
        assert session.run(None, {"inputs": ROWS[:rows]})[0].shape == (rows, 3)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(SPEC.classes)


def test_an_altered_byte_is_found_before_parsing(tmp_path: Path) -> None:
    exported(tmp_path, "safetensors")
    path = tmp_path / "student.safetensors"
    data = bytearray(path.read_bytes())
    data[0] ^= 0xFF  # the length of the header: a parser would trip over it
    path.write_bytes(data)
    with pytest.raises(CorruptionError) as caught:
        export.load_exported(tmp_path)
    assert caught.value.expected and caught.value.found


def test_a_description_of_another_student_is_refused(tmp_path: Path) -> None:
    exported(tmp_path, "safetensors")
    path = tmp_path / "student.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "student": {**facts["student"], "hidden": [13]}}))
    with pytest.raises(FormatError, match="don't fit"):
        export.load_exported(path)
    path.write_text(json.dumps({**facts, "format": 2}))
    with pytest.raises(FormatError):
        export.load_exported(tmp_path)
    path.write_text("{")
    with pytest.raises(CorruptionError):
        export.load_exported(tmp_path)
    path.unlink()
    with pytest.raises(DataError):
        export.load_exported(tmp_path)


def test_a_student_that_does_not_answer_alike_is_no_export(tmp_path: Path) -> None:
    class Moody(nn.Module):
        """Answers otherwise each time, as a student with active dropout would."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = make_student(OPTIONS, SPEC, seed=3)

        def state_dict(self, *args: object, **kwargs: object) -> dict[str, torch.Tensor]:  # type: ignore[override]
            return self.inner.state_dict()

        def forward(self, inputs_B: torch.Tensor) -> torch.Tensor:
            return self.inner(inputs_B) + 1e-6

    with pytest.raises(StorageError, match="answers otherwise"):
        exported(tmp_path, "safetensors", student=Moody())


def test_missing_packages_are_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ONNX_PACKAGES", ("onnx", "a_package_nobody_has"))
    with pytest.raises(PreflightError) as caught:
        exported(tmp_path / "out", "safetensors", "onnx")
    assert "a_package_nobody_has" in str(caught.value) and not (tmp_path / "out").exists()


def test_real_rows_are_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="real rows"):
        export.export_student(
            make_student(OPTIONS, SPEC, 0), options=OPTIONS, spec=SPEC, columns=(), inputs_N=ROWS[:0], folder=tmp_path
        )


def test_a_users_module_needs_the_same_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.students.torch_module import Options as ModuleOptions

    monkeypatch.setattr(registry, "_guests", dict(registry._guests))
    monkeypatch.setattr(registry, "_modules", dict(registry._modules))
    source = tmp_path / "tiny_net.py"
    source.write_text(
        'KIND = "module"\nfrom torch import nn\n'
        "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
    )
    registry.add_guest_file(source)
    options = ModuleOptions(module="tiny_net")
    student = make_student(options, SPEC, 1)
    export.export_student(student, options=options, spec=SPEC, columns=("x",), inputs_N=ROWS, folder=tmp_path / "out")
    export.load_exported(tmp_path / "out")
    registry._guests.clear()
    registry._modules.clear()
    with pytest.raises(FormatError, match="own module"):
        export.load_exported(tmp_path / "out")
