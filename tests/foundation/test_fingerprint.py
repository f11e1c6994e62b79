from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DataError
from foundation.fingerprint import canonical_json, digest, digest_file, fingerprint

ROOT = Path(__file__).resolve().parents[2]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(JSON)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert fingerprint(reordered(value)) == fingerprint(value)


@given(JSON)
def test_canonical_json_reads_back(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@given(JSON, JSON)
def test_different_values_have_different_fingerprints(a: Any, b: Any) -> None:
    # Compared as text: 1, 1.0 and True are equal in Python but different to a reader of a configuration.
    assert (canonical_json(a) == canonical_json(b)) == (fingerprint(a) == fingerprint(b))


@pytest.mark.parametrize(
    ("a", "b"), [(1, 1.0), (1, True), (0, None), ("1", 1), ([], {}), ("\u00e9", "e\u0301"), (0.0, -0.0)]
)
def test_near_misses_differ(a: Any, b: Any) -> None:
    assert fingerprint(a) != fingerprint(b)


def test_tuples_count_as_lists() -> None:
    assert fingerprint({"a": (1, 2)}) == fingerprint({"a": [1, 2]})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_refused_with_their_place(bad: float) -> None:
    with pytest.raises(DataError) as caught:
        canonical_json({"a": [1.0, {"b": bad}]})
    assert caught.value.where == "$.a[1].b"


@pytest.mark.parametrize("bad", [{1: "x"}, {"a": b"bytes"}, {"a": {1, 2}}, Path("x"), object(), {"a": "\ud800"}])
def test_values_that_are_not_json_are_refused(bad: Any) -> None:
    with pytest.raises(DataError):
        fingerprint(bad)


# A change here invalidates every cache: bump FINGERPRINT_VERSION and add vectors, never edit these.
GOLDEN = json.loads((Path(__file__).parent / "golden_fingerprints.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", GOLDEN["fingerprints"], ids=lambda case: case["name"])
def test_golden_fingerprints(case: dict[str, Any]) -> None:
    assert canonical_json(case["value"]).decode() == case["canonical"]
    assert fingerprint(case["value"]) == case["fingerprint"]


def test_a_fingerprint_is_the_same_in_another_process_with_another_hash_seed() -> None:
    value = {"b": [1, 2.5, "é"], "a": {"y": None, "x": True}}
    code = f"from foundation.fingerprint import fingerprint; print(fingerprint({value!r}))"
    command = [sys.executable, "-c", code]
    env = {"PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == fingerprint(value)


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000  # 5 MB: more than one chunk
    (tmp_path / "file").write_bytes(data)
    assert digest_file(tmp_path / "file") == digest(data)
    assert digest(b"") == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
