"""Takes a trained student out of the house: safetensors with a description beside it, and ONNX as an extra.

Every export is read back and asked for real rows before it counts: safetensors must answer bit for bit the same, ONNX
within 1e-4 and with the same classes. Nothing here is pickled. `load_exported` is the way back.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import secrets
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from foundation import registry
from foundation.errors import CorruptionError, DataError, FormatError, PreflightError, StorageError
from foundation.fingerprint import digest, digest_file
from foundation.model import PluginOptions
from pipelines.student import StudentSpec, make_student

EXPORT_FORMAT = 1
ONNX_TOLERANCE = 1e-4
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_WEIGHTS, _DESCRIPTION, _ONNX = "student.safetensors", "student.json", "student.onnx"
Format = Literal["safetensors", "onnx"]


@dataclass(frozen=True)
class ExportResult:
    """One exported file, checked on `rows` real rows. `max_difference` is between logits; `digest` is blake3."""

    format: Format
    path: str
    digest: str
    rows: int
    max_difference: float
    argmax_equal: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def has_onnx() -> bool:
    """True when the packages of the extra `onnx` are installed; imports none of them."""
    return all(importlib.util.find_spec(name) is not None for name in ONNX_PACKAGES)


def export_student(
    student: nn.Module,
    *,
    options: PluginOptions,
    spec: StudentSpec,
    columns: Sequence[str],
    inputs_N: np.ndarray[Any, Any],
    folder: Path,
    formats: Sequence[Format] = ("safetensors",),
) -> list[ExportResult]:
    """Exports a student and checks each file on the rows `inputs_N`: float32 [N, ...], as the student takes them.

    Raises `PreflightError` before anything is written if a package is missing, `StorageError` if a file read back
    answers otherwise than the student.
    """
    if "onnx" in formats and not has_onnx():
        missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
        step = "pip install 'raydistill[onnx]'"
        raise PreflightError("ONNX export needs packages that are missing.", found=", ".join(missing), next_step=step)
    if len(inputs_N) == 0:
        raise DataError("An export is checked on real rows, but none were given.", where=folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows_N = torch.from_numpy(np.ascontiguousarray(inputs_N, dtype=np.float32))
    results = []
    was_training = student.training
    student.eval()
    try:
        with torch.no_grad():
            expected_NC = student(rows_N)
        if "safetensors" in formats:
            results.append(_export_safetensors(student, options, spec, columns, rows_N, expected_NC, folder))
        if "onnx" in formats:
            results.append(_export_onnx(student, spec, rows_N, expected_NC, folder))
    finally:
        student.train(was_training)
    return results


def load_exported(path: Path) -> nn.Module:
    """Builds the student of an export folder (or of its `student.json`) and returns it ready to answer.

    The digest is compared before the weights are parsed. A student made from a plug-in of your own needs that plug-in
    installed first (`registry.add_guest_file`). Raises `CorruptionError`, `FormatError` or `PluginError`.
    """
    description_path = path / _DESCRIPTION if path.is_dir() else path
    facts = _read_description(description_path)
    data = (description_path.parent / _WEIGHTS).read_bytes()
    if (found := digest(data)) != facts["digest"]:
        raise CorruptionError(
            "Exported weights are not those that were written.",
            expected=facts["digest"],
            found=found,
            where=description_path.parent / _WEIGHTS,
            next_step="export the student again",
        )
    kind = str(facts["student"]["kind"])
    options = registry.load("student", kind).Options.model_validate(facts["student"])
    if (plugin := _guest_digest(options)) != facts.get("module_digest"):
        raise FormatError(
            "The student's own module is not the one it was trained with.",
            expected=facts.get("module_digest"),
            found=plugin,
            where=description_path,
        )
    student = make_student(options, StudentSpec(tuple(facts["input_shape"]), tuple(facts["classes"])), seed=0)
    try:
        student.load_state_dict(load_tensors(data), strict=True)
    except (RuntimeError, SafetensorError) as error:
        raise FormatError("Exported weights don't fit the student described.", found=error, where=path) from error
    return student.eval()


def _export_safetensors(
    student: nn.Module,
    options: PluginOptions,
    spec: StudentSpec,
    columns: Sequence[str],
    rows_N: torch.Tensor,
    expected_NC: torch.Tensor,
    folder: Path,
) -> ExportResult:
    data = save_tensors({name: value.detach().cpu().clone() for name, value in student.state_dict().items()})
    facts = {
        "format": EXPORT_FORMAT,
        "student": options.model_dump(mode="json"),
        "input_columns": list(columns),
        "input_shape": list(spec.input_shape),
        "input_dtype": "float32",
        "preprocessing": "none",
        "classes": list(spec.classes),
        "output": "logits",
        "weights": _WEIGHTS,
        "digest": digest(data),
        "module_digest": _guest_digest(options),
    }
    # The description goes first out and last in: a folder with one has the weights that belong to it.
    (folder / _DESCRIPTION).unlink(missing_ok=True)
    _write(folder / _WEIGHTS, data)
    _write(folder / _DESCRIPTION, (json.dumps(facts, indent=2, ensure_ascii=False) + "\n").encode())
    with torch.no_grad():
        again_NC = load_exported(folder)(rows_N)
    return _checked("safetensors", folder / _WEIGHTS, expected_NC.numpy(), again_NC.numpy(), tolerance=0.0)


def _export_onnx(
    student: nn.Module, spec: StudentSpec, rows_N: torch.Tensor, expected_NC: torch.Tensor, folder: Path
) -> ExportResult:
    import onnxruntime

    # Two rows, not one: the exporter takes a dimension of one for a constant.
    example_B = rows_N[:2] if len(rows_N) > 1 else torch.cat([rows_N, rows_N])
    with _quiet_exporter():
        program = torch.onnx.export(
            student,
            (example_B,),
            dynamo=True,
            verbose=False,
            input_names=["inputs"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("rows")},),
        )
    if program is None:
        raise StorageError("The ONNX exporter gave nothing.", where=folder)
    model = program.model_proto
    model.metadata_props.add(key="classes", value=json.dumps(list(spec.classes), ensure_ascii=False))
    _write(folder / _ONNX, model.SerializeToString())
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(folder / _ONNX), settings, providers=["CPUExecutionProvider"])
    again_NC = session.run(["logits"], {"inputs": rows_N.numpy()})[0]
    return _checked("onnx", folder / _ONNX, expected_NC.numpy(), again_NC, tolerance=ONNX_TOLERANCE)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter complains about packages that nobody asked for (torchvision) and about its own future."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _checked(
    kind: Format, path: Path, expected_NC: np.ndarray[Any, Any], found_NC: np.ndarray[Any, Any], *, tolerance: float
) -> ExportResult:
    """Compares logits; an answer that is not a number differs from everything."""
    worst = float(np.abs(expected_NC - found_NC).max())
    same = bool((expected_NC.argmax(axis=1) == found_NC.argmax(axis=1)).all())
    if not (worst <= tolerance and same):
        raise StorageError(
            f"The exported {kind} file answers otherwise than the student.",
            expected=f"difference at most {tolerance:g} and equal classes",
            found=f"difference {worst:.3g}, classes {'equal' if same else 'not equal'}",
            where=path,
        )
    return ExportResult(kind, str(path), digest_file(path), len(expected_NC), worst, same)


def _guest_digest(options: PluginOptions) -> str | None:
    """The digest of the user's module a student is built from, or None for a built-in."""
    wanted = {("student", options.kind), ("module", getattr(options, "module", None))}
    found = [guest.digest for guest in registry.guests() if (guest.kind, guest.name) in wanted]
    return digest("".join(found).encode()) if found else None


def _read_description(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError("There is no exported student here.", expected=_DESCRIPTION, where=path) from error
    except ValueError as error:
        raise CorruptionError("The description of an export can't be read.", where=path) from error
    needed = {"format", "student", "input_shape", "classes", "digest"}
    if not isinstance(facts, dict) or facts.get("format") != EXPORT_FORMAT or not needed <= facts.keys():
        raise FormatError("An export has a format this version doesn't know.", expected=EXPORT_FORMAT, where=path)
    return facts


def _write(path: Path, data: bytes) -> None:
    neighbour = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with neighbour.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(neighbour, path)
    finally:
        neighbour.unlink(missing_ok=True)
