"""Stored predictions: what a student or a teacher answered on the report's rows, for each seed.

Every number of a report comes from these files, so a report can be derived again without a model. One Arrow file per
(who, seed) with a digest beside it; the digest is written last and is checked before anything is parsed. A file
without a digest does not exist yet. Students and teachers lie in folders of their own, because the student of one
teacher is called `teacher:NAME` too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from foundation.errors import CorruptionError, DataError, FormatError
from foundation.fingerprint import digest
from orchestrator.files import write_atomic
from teachers.row_keys import KEY_DTYPE, RowKeys, from_bytes, to_bytes

PREDICTIONS_FORMAT = 1
Role = Literal["students", "teachers"]


@dataclass(frozen=True)
class Predictions:
    """Answers on N rows.

    Attributes:
        keys: row keys, S16 [N].
        logits_NC: float32 [N, C], untempered; a teacher's columns are its own classes, in its own order.
        labels_N: int64 [N] positions in the data's classes; -1 = no label.
    """

    keys: RowKeys
    logits_NC: np.ndarray
    labels_N: np.ndarray

    def __len__(self) -> int:
        return len(self.labels_N)


def path_of(run_dir: Path, role: Role, name: str, seed: int = 0) -> Path:
    """Where the predictions lie; any name gives a safe file name."""
    safe = quote(name, safe="").replace(".", "%2E")
    return run_dir / "predictions" / role / safe / f"{int(seed)}.arrow"


def write_predictions(run_dir: Path, role: Role, name: str, seed: int, predictions: Predictions) -> Path:
    """Stores predictions atomically, replacing older ones. Raises `DataError` on values that can't be predictions."""
    logits = np.ascontiguousarray(predictions.logits_NC, dtype="<f4")
    labels = np.ascontiguousarray(predictions.labels_N, dtype="<i8")
    rows = len(predictions.keys)
    if logits.ndim != 2 or len(logits) != rows or labels.shape != (rows,) or logits.shape[1] < 1:
        shapes = f"keys {predictions.keys.shape}, logits {logits.shape}, labels {labels.shape}"
        raise DataError("Predictions have mismatched shapes.", expected="[N], [N, C], [N]", found=shapes, where=name)
    if not np.isfinite(logits).all():
        raise DataError("Predictions hold values that are not finite.", where=f"{role}/{name}, seed {seed}")
    schema = _schema(logits.shape[1])
    keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), rows, [None, pa.py_buffer(to_bytes(predictions.keys))])
    values = pa.array(logits.reshape(-1))
    batch = pa.RecordBatch.from_arrays(
        [keys, pa.FixedSizeListArray.from_arrays(values, logits.shape[1]), pa.array(labels)], schema=schema
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(batch)
    data = sink.getvalue().to_pybytes()
    path = path_of(run_dir, role, name, seed)
    _sidecar(path).unlink(missing_ok=True)
    write_atomic(path, data)
    facts = {"format": PREDICTIONS_FORMAT, "digest": digest(data), "rows": rows, "columns": int(logits.shape[1])}
    write_atomic(_sidecar(path), json.dumps(facts, sort_keys=True).encode())
    return path


def has_predictions(run_dir: Path, role: Role, name: str, seed: int = 0) -> bool:
    """True when the predictions are stored completely (their bytes are checked when they are read)."""
    path = path_of(run_dir, role, name, seed)
    return path.is_file() and _sidecar(path).is_file()


def read_predictions(run_dir: Path, role: Role, name: str, seed: int = 0) -> Predictions:
    """Reads stored predictions. The digest is compared before Arrow sees a byte.

    Raises `DataError` if there are none, `CorruptionError` if the bytes are not those written, `FormatError` if they
    are of another format.
    """
    path = path_of(run_dir, role, name, seed)
    if not has_predictions(run_dir, role, name, seed):
        raise DataError(
            "Predictions are missing; the run has not got that far, or files were removed.",
            expected=f"{role}/{name}, seed {seed}",
            where=path,
            next_step="run the same command again: it resumes",
        )
    data = path.read_bytes()
    facts = _read_sidecar(path)
    found = digest(data)
    if found != facts.get("digest"):
        raise CorruptionError(
            "A prediction file is not what was written.",
            expected=facts.get("digest"),
            found=found,
            where=path,
            next_step="remove the file and run the same command again",
        )
    table = pa.ipc.open_file(pa.BufferReader(data)).read_all().combine_chunks()
    columns = int(str(facts["columns"]))
    if not table.schema.equals(_schema(columns), check_metadata=True):
        raise FormatError("A prediction file has another layout.", found=table.schema.names, where=path)
    table.validate(full=True)
    batches = table.to_batches()
    if not batches:
        return Predictions(np.empty(0, KEY_DTYPE), np.empty((0, columns), np.float32), np.empty(0, np.int64))
    keys, logits, labels = batches[0].columns
    raw = keys.buffers()[1].to_pybytes()[keys.offset * 16 : (keys.offset + len(keys)) * 16]
    values = logits.flatten().to_numpy(zero_copy_only=False).reshape(-1, columns)
    return Predictions(from_bytes(raw), values, labels.to_numpy(zero_copy_only=False))


def _schema(columns: int) -> pa.Schema:
    fields = [
        pa.field("row_key", pa.binary(16), nullable=False),
        pa.field("logits", pa.list_(pa.field("item", pa.float32()), columns), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
    ]
    return pa.schema(fields, metadata={"raydistill_predictions": str(PREDICTIONS_FORMAT)})


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _read_sidecar(path: Path) -> dict[str, object]:
    try:
        facts = json.loads(_sidecar(path).read_bytes())
    except ValueError as error:
        raise CorruptionError("The digest beside a prediction file can't be read.", where=_sidecar(path)) from error
    if not isinstance(facts, dict) or facts.get("format") != PREDICTIONS_FORMAT:
        raise FormatError("Predictions have a format this version doesn't know.", found=facts, where=_sidecar(path))
    return facts
