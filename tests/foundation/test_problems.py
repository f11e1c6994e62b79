"""Problems: all at once, each with place, key, expected, found and way out; never a secret."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from foundation.errors import ConfigError
from foundation.model import StrictModel
from foundation.plugin_field import PluginField
from foundation.problems import Key, Problem, problems_of
from foundation.secret_ref import SecretRef
from foundation.words import plain_text, secret_like

CANARY = "CANARY-5f1c9a"


class Inner(StrictModel):
    count: int = Field(default=1, ge=1)
    ratio: float | None = None
    kind: Literal["red", "green"] = "red"
    names: tuple[str, ...] = ()


class Outer(StrictModel):
    inner: Inner = Inner()
    many: dict[str, Inner] = Field(default_factory=dict)
    listed: tuple[Inner, ...] = ()
    credentials: SecretRef | None = None
    lens: Annotated[Any, PluginField("lens")] = None
    needed: int


def problems(data: dict[str, Any]) -> dict[str, Problem]:
    def locate(path: Key, key: bool) -> str:
        return f"{'/'.join(map(str, path))}{'#' if key else ''}"

    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(data)
    return {problem.key: problem for problem in problems_of(caught.value, data, locate, Outer)}


def test_everything_wrong_is_told_at_once() -> None:
    found = problems(
        {
            "inner": {"count": 0, "ratio": "x", "kind": "gren", "cuont": 3},
            "many": {"a": {"names": 3}, "b": 7},
            "listed": [{}, {"count": 2.5}],
        }
    )
    assert {key: (one.expected, one.found) for key, one in found.items()} == {
        "inner.count": ("a number of at least 1", "0"),
        "inner.ratio": ("a number", "text"),
        "inner.kind": ("'red' or 'green'", "'gren'"),
        "inner.cuont": ("a known key", "an unknown one"),
        "many.a.names": ("a list", "3"),
        "many.b": ("a mapping (key: value)", "7"),
        "listed.1.count": ("a whole number", "2.5"),
        "needed": ("a value", "no such key"),
    }
    assert found["inner.cuont"].next_step == "did you mean 'count'?"
    assert found["inner.cuont"].where == "inner/cuont#"
    assert found["inner.kind"].next_step == "did you mean 'green'?"
    assert found["listed.1.count"].where == "listed/1/count"
    assert "needed:" in found["needed"].next_step
    assert all(one.next_step for one in found.values())


def test_an_unknown_key_lists_the_known_ones_when_none_is_near() -> None:
    assert problems({"needed": 1, "zzz": 1})["zzz"].next_step.startswith("known keys: credentials, inner")


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_number(value: bool) -> None:
    found = problems({"needed": value, "inner": {"ratio": value}})
    assert found["needed"].found == str(value).lower()
    assert found["inner.ratio"].expected == "a number"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    assert "finite" in problems({"needed": 1, "inner": {"ratio": value}})["inner.ratio"].expected


def test_plugin_options_keep_their_full_place() -> None:
    found = problems({"needed": 1, "lens": {"kind": "temperature", "value": 2, "vlaue": 3}})
    assert found["lens.vlaue"].next_step == "did you mean 'value'?"
    unknown = problems({"needed": 1, "lens": {"kind": "temprature"}})["lens.kind"]
    assert (unknown.found, unknown.next_step) == ("'temprature'", "did you mean 'temperature'?")
    assert problems({"needed": 1, "lens": 3})["lens"].expected.startswith("a mapping with `kind`")


@pytest.mark.parametrize(
    "data",
    [
        {"needed": CANARY},
        {"needed": 1, "password": CANARY},
        {"needed": 1, "secrets": {"deep": [CANARY]}},
        {"needed": 1, "credentials": CANARY},
        {"needed": 1, "credentials": f"env:{CANARY} x"},
        {"needed": 1, "credentials": [CANARY]},
        {"needed": 1, "inner": CANARY},
        {"needed": 1, "inner": {"count": CANARY}},
        {"needed": 1, "lens": {"kind": "temperature", "value": CANARY}},
        {"needed": 1, "lens": {"kind": "temperature", "api_key": CANARY}},
    ],
)
def test_no_value_leaks(data: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    found = problems(data)
    error = ConfigError("x", problems=tuple(map(str, found.values())))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().error("%s %r", error, error)
    told = f"{error}{error!r}{error.to_dict()}{pickle.dumps(error)!r}{caplog.text}"
    assert found and CANARY not in told


def test_numbers_under_secret_like_keys_are_not_shown() -> None:
    class Door(StrictModel):
        pin: int = Field(default=0, ge=10_000)

    with pytest.raises(ValidationError) as caught:
        Door.model_validate({"pin": 4711})
    (problem,) = problems_of(caught.value, {"pin": 4711}, lambda path, key: "x", Door)
    assert "4711" not in str(problem)
    assert secret_like(["store", "secret_key"]) and not secret_like(["author"])


def test_a_secret_is_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONT_TEST_SECRET", CANARY)
    (tmp_path / "key").write_text(f"{CANARY}\n")
    model = Outer(needed=1, credentials="env:FRONT_TEST_SECRET")
    assert model.credentials is not None and model.credentials.resolve(tmp_path) == CANARY
    assert SecretRef("file:key").resolve(tmp_path) == CANARY
    again = pickle.loads(pickle.dumps(model))
    assert again == model and isinstance(again.credentials, SecretRef)
    assert CANARY not in f"{model!r}{model.model_dump_json()}{pickle.dumps(model)!r}"


@pytest.mark.parametrize("text", ["env:NOT_SET_ANYWHERE", "file:nowhere"])
def test_a_missing_secret_names_its_reference(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        SecretRef(text).resolve(tmp_path)
    assert caught.value.where == text


def test_text_is_safe_for_a_terminal() -> None:
    assert plain_text("a\x1b[31m\nb\u202ec\0") == "a\\x1b[31m\\nb\\u202ec\\x00"
    assert len(plain_text("x" * 5000)) < 210
