"""What an unquoted YAML scalar means: the YAML 1.2 core rules, minus what a configuration has no use for.

Differences a reader of YAML 1.1 would notice: `no`, `on`, `yes` are text, `1e-3` is a number, `012` is twelve,
`12:30:00` is text. Infinities, NaN and integers beyond 64 bits are refused.
"""

from __future__ import annotations

import math
import re

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0x[0-9a-fA-F]+\Z|0o[0-7]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_INT_LIMIT = 1 << 63
_INT_DIGITS = 64  # int() refuses thousands of digits with an error of its own

Scalar = str | int | float | bool | None


class ScalarError(ValueError):
    """The scalar has no place in a configuration. Carries what was expected and what was found, not the text."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(expected)
        self.expected = expected
        self.found = found


def resolve(text: str) -> Scalar:
    """Returns the value of an unquoted scalar. Raises `ScalarError` for NaN, infinities and huge integers."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.match(text):
        return _integer(text, 10)
    if _BASED.match(text):
        return _integer(text, 16 if text[1] == "x" else 8)
    if _SPECIAL.match(text):
        raise ScalarError("a finite number", "an infinity or NaN")
    if _FLOAT.match(text):
        number = float(text)
        if not math.isfinite(number):
            raise ScalarError("a finite number", "a number too large for 64 bits")
        return number
    return text


def _integer(text: str, base: int) -> int:
    if len(text) <= _INT_DIGITS:
        number = int(text[2:] if base != 10 else text, base)
        if -_INT_LIMIT <= number < _INT_LIMIT:
            return number
    raise ScalarError("a whole number of at most 64 bits", "a longer one")
