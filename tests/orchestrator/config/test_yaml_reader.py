"""YAML 1.2 as a reader expects it, and hostile files refused fast."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.errors import ConfigError
from orchestrator.config.yaml_reader import MAX_BYTES, read_file, read_text


def one(text: str) -> Any:
    document = read_text(f"a: {text}", "x.yaml")
    assert not document.problems
    return document.values["a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("1e-3", 0.001),
        ("5e3", 5000.0),
        ("012", 12),
        ("0o17", 15),
        ("0x1f", 31),
        ("-3", -3),
        ("+.5", 0.5),
        ("12:30:00", "12:30:00"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("~", None),
        ("null", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|\n  12\n", "12\n"),
    ],
)
def test_scalars_mean_what_a_reader_expects(text: str, value: object) -> None:
    found = one(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", [".nan", ".inf", "-.INF", "1e400", "9" * 30, "9" * 5000, "-9223372036854775809"])
def test_numbers_without_a_place_are_refused(text: str) -> None:
    (problem,) = read_text(f"a: {text}", "x.yaml").problems
    assert (problem.where, problem.key) == ("x.yaml:1:4", "a")
    assert text not in str(problem)


def test_keys_are_text_as_written() -> None:
    assert read_text("012: a\nno: b\n1.0: c\n", "x.yaml").values == {"012": "a", "no": "b", "1.0": "c"}


def test_every_key_and_value_has_its_place() -> None:
    document = read_text("a:\n  - {b: 1,\n     c: x}\n", "x.yaml")
    assert document.where(("a", 0, "c"), key=True) == "x.yaml:3:6"
    assert document.where(("a", 0, "c")) == "x.yaml:3:9"
    assert document.where(("a", 0, "missing")) == "x.yaml:2:5"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: &x 1\nb: 2", "an anchor"),
        ("b: *x", "an alias"),
        ("a: !!python/object/apply:os.system [ls]", "a tag"),
        ("a: !x 1", "a tag"),
        ("a: 1\na: 2", "a second time"),
        ("? [a, b]\n: 1", "something else"),
    ],
)
def test_what_yaml_can_but_a_configuration_must_not(text: str, found: str) -> None:
    problems = read_text(text, "x.yaml").problems
    assert found in str(problems[0])


@pytest.mark.parametrize("text", ["", "# nothing", "a: 1\n---\nb: 2", "a: [", "a: b: c", "\t- x", "a\0: 1", "%TAG ! x"])
def test_broken_form_is_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_text(text, "x.yaml")
    assert caught.value.where is not None and caught.value.where.startswith("x.yaml")


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000, "a: " + "[" * 65 + "]" * 65, "'" * 900_001],
)
def test_hostile_text_is_refused_within_a_second(text: str) -> None:
    start = time.process_time()
    with pytest.raises(ConfigError):
        read_text(text, "x.yaml")
    assert time.process_time() - start < 1


def test_64_levels_are_allowed() -> None:
    assert not read_text("a: " + "[" * 63 + "]" * 63, "x.yaml").problems


def test_billion_laughs_composes_nothing() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    start = time.process_time()
    assert read_text("\n".join(lines), "x.yaml").problems
    assert time.process_time() - start < 1


def test_size_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(50 << 20)
    start = time.process_time()
    with pytest.raises(ConfigError, match="too large"):
        read_file(path)
    assert time.process_time() - start < 1
    path.write_text("a: " + "x" * (MAX_BYTES - 3))
    assert len(read_file(path)[0].values["a"]) == MAX_BYTES - 3


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a: \x80", "a: 1".encode("utf-16")])
def test_other_encodings_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        read_file(path)


def test_missing_file_leads_to_init(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_file(tmp_path / "no.yaml")
    assert "raydistill init" in str(caught.value)


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


@settings(max_examples=300)
@given(st.text(alphabet=st.sampled_from("ab:-[]{}'\"#&*!|>%@`,? \n\t01.eE~\0é\U0001f600\u202e\ud800"), max_size=60))
def test_any_text_is_a_document_or_a_config_error(text: str) -> None:
    try:
        document = read_text(text, "x.yaml")
    except ConfigError:
        return
    assert document.problems or plain(document.values)
