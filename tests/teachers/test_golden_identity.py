"""Golden identities: keys and fingerprints computed today must come out the same for ever, or carry a new version.

When one of these fails, labels in every existing cache would silently be orphaned (or worse, matched wrongly). The
way out is a new `FINGERPRINT_VERSION` and a new section in the golden file; the old section stays.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foundation.fingerprint import FINGERPRINT_VERSION, canonical_json, fingerprint
from foundation.model import PluginOptions
from teachers.backends.torch_module import weights_digest
from teachers.cache.codecs.dense import Options as Dense
from teachers.cache.entry_key import entry_key
from teachers.card import TeacherCard
from teachers.row_keys import chunk_digests, row_keys, to_hex
from teachers.units import Unit

GOLDEN = json.loads((Path(__file__).parent / "golden_identity.json").read_text(encoding="utf-8"))


def section() -> dict[str, Any]:
    assert str(FINGERPRINT_VERSION) in GOLDEN, "a new FINGERPRINT_VERSION needs its own golden section"
    golden: dict[str, Any] = GOLDEN[str(FINGERPRINT_VERSION)]
    return golden


def columns(name: str) -> dict[str, np.ndarray]:
    """The rows behind the golden keys, spelled out so that no generator can change them."""
    small = np.array([[0.0, 1.5], [-2.25, 3.0], [1e-7, 65504.0]], dtype=np.float32)
    return {
        "one float column": {"x": small},
        "renamed column": {"y": small},
        "two columns": {"x": small, "a": np.array([1.0, 2.0, 3.0], dtype=np.float32)},
        "images": {"x": np.arange(8, dtype=np.float32).reshape(2, 2, 2)},
        "flat images": {"x": np.arange(8, dtype=np.float32).reshape(2, 4)},
        "integers": {"x": np.array([1, 2, 3], dtype=np.int64)},
        "big-endian integers": {"x": np.array([1, 2, 3], dtype=">i8")},
        "text": {"x": np.array(["a", "é", "e\u0301", ""], dtype=object)},
    }[name]


CARDS: dict[str, dict[str, Any]] = {
    "fitted": {
        "architecture": {"backend": "sklearn", "estimator": "SVC", "options": {"gamma": 0.001}, "calibrate": True},
        "weights": {"fitted_on": "ab" * 32, "scikit_learn": "1.7.0"},
        "preprocessing": {"columns": None, "scale": 0.0625, "shift": 0.0, "reshape": None},
        "classes": ("0", "1"),
        "gives": "probabilities",
        "floor": 1e-3,
        "numerics": {"dtype": "float64"},
        "version": "1",
    },
    "stored": {
        "architecture": {"backend": "torch_module", "module": "net", "options": {}},
        "weights": {"tensors": "cd" * 32},
        "preprocessing": {},
        "classes": ("kočka", "pes", "猫"),
        "gives": "logits",
        "floor": None,
        "numerics": {"dtype": "float32", "tf32": False},
        "version": "1",
    },
}


def computed() -> dict[str, Any]:
    """Every identity of the golden file, computed now. Run this module to print it."""
    names = ("one float column,renamed column,two columns,images,flat images,integers,big-endian integers,text").split(
        ","
    )
    state = {
        "b": torch.tensor([1.0, -2.0], dtype=torch.bfloat16),
        "a.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "count": torch.tensor(7),
        "empty": torch.empty(0, 3),
    }
    dense: PluginOptions = Dense()
    return {
        "canonical": canonical_json({"b": [1, 1.0, None, True, "é\n"], "a": {"z": 1e-3, "y": -0.0}}).decode(),
        "row_keys": {name: to_hex(row_keys(columns(name))) for name in names},
        "chunks": chunk_digests(row_keys(columns("one float column"))),
        "cards": {name: TeacherCard(**card).fingerprint for name, card in CARDS.items()},
        "entries": {name: entry_key(TeacherCard(**card), dense).id for name, card in CARDS.items()},
        "unit": Unit("t", "ef" * 32, (4, 2), ("01" * 16, "23" * 16)).id,
        "weights": weights_digest(state),
        "value": fingerprint({"a": [1, 2.5, "x"], "b": None}),
    }


@pytest.mark.parametrize("part", sorted(GOLDEN[str(FINGERPRINT_VERSION)]))
def test_identities_have_not_changed(part: str) -> None:
    assert computed()[part] == section()[part]


def test_the_golden_file_is_complete() -> None:
    assert sorted(computed()) == sorted(section())


def test_a_row_key_sees_name_type_shape_and_content() -> None:
    keys = section()["row_keys"]
    assert len({keys[name][0] for name in ("one float column", "renamed column", "two columns")}) == 3
    assert keys["images"] != keys["flat images"] and keys["integers"] == keys["big-endian integers"]
    assert len(set(keys["text"])) == 4


def test_the_version_is_part_of_what_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foundation.fingerprint.FINGERPRINT_VERSION", FINGERPRINT_VERSION + 1)
    monkeypatch.setattr("teachers.row_keys.FINGERPRINT_VERSION", FINGERPRINT_VERSION + 1)
    now, golden = computed(), section()
    assert now["value"] != golden["value"] and now["row_keys"]["integers"] != golden["row_keys"]["integers"]


if __name__ == "__main__":
    print(json.dumps({str(FINGERPRINT_VERSION): computed()}, indent=1, ensure_ascii=False))
