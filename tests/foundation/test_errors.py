from __future__ import annotations

import pickle

import pytest

from foundation import errors
from foundation.errors import RaydistillError


def family(base: type[RaydistillError] = RaydistillError) -> list[type[RaydistillError]]:
    found = [base]
    for child in base.__subclasses__():
        found += family(child)
    return found


# Classes of this project only: a test elsewhere may define more.
FAMILY = sorted({cls for cls in family() if cls.__module__ == errors.__name__}, key=lambda cls: cls.__name__)
EXTRA = {
    "ConfigError": {"problems": ("run.yaml:3:1: a", "run.yaml:4:1: b")},
    "PluginError": {"problems": ("x",)},
    "QuarantineError": {"rows": (("svm", "ab" * 16, "died three times"),)},
    "StoppedError": {"signal_number": 15},
}


@pytest.mark.parametrize("cls", FAMILY, ids=lambda cls: cls.__name__)
def test_an_error_crosses_processes_whole(cls: type[RaydistillError]) -> None:
    extra = EXTRA.get(cls.__name__, {})
    error = cls("It broke.", expected="a", found="b", where="c", next_step="try d", **extra)
    error.add_note("a note from the worker")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == str(error)
    assert copy.to_dict() == error.to_dict()
    assert copy.args == error.args
    assert copy.__dict__ == error.__dict__
    for name, value in extra.items():
        assert getattr(copy, name) == value


@pytest.mark.parametrize("cls", FAMILY, ids=lambda cls: cls.__name__)
def test_an_error_says_all_it_knows(cls: type[RaydistillError]) -> None:
    text = str(cls("It broke.", expected="five", found="six", where="row 3", next_step="count again"))
    assert text.startswith(f"{cls.code}: It broke.")
    for fact in ("expected: five", "found: six", "where: row 3", "try: count again"):
        assert fact in text


def test_facts_that_are_absent_are_not_printed() -> None:
    assert str(RaydistillError("It broke.")) == "E-UNEXPECTED: It broke."
    assert RaydistillError("It broke.").to_dict() == {"code": "E-UNEXPECTED", "summary": "It broke."}


def test_a_falsy_fact_is_still_a_fact() -> None:
    assert "found: 0" in str(RaydistillError("No rows.", found=0))


def test_codes_are_distinct_and_exit_codes_are_the_agreed_ones() -> None:
    codes = [cls.code for cls in FAMILY]
    assert len(set(codes)) == len(codes)
    assert {cls.exit_code for cls in FAMILY} <= {1, 2, 3, 4, 5, 6, 75, 130}


def test_problems_are_listed_one_per_line() -> None:
    text = str(errors.ConfigError("Two problems.", problems=("first", "second")))
    assert text.splitlines()[1:] == ["  - first", "  - second"]
