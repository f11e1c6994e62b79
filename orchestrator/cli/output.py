"""What verbs print: results to stdout, either for people or, with `--json`, as one object; all else to stderr."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from foundation.errors import RaydistillError, StoppedError
from foundation.words import plain_text


class Output:
    """The two channels. `as_json` is set by a verb's `--json` before anything can go wrong."""

    as_json = False
    run_dir: Path | None = None


def text(lines: str) -> None:
    """Prints a result for people; control characters other than line ends are escaped."""
    print("\n".join(plain_line(line) for line in lines.split("\n")))


def plain_line(line: str) -> str:
    """Escapes what is unprintable, whatever the length."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def result(value: dict[str, Any], lines: str) -> None:
    """Prints the verb's result in the form the user asked for."""
    if Output.as_json:
        print(json.dumps(value, ensure_ascii=False, default=str))
    else:
        text(lines)


def note(line: str) -> None:
    """Prints a remark to stderr."""
    print(plain_line(line), file=sys.stderr, flush=True)


def failure(error: BaseException) -> int:
    """Tells an error in the form the user asked for; returns the exit code."""
    if isinstance(error, RaydistillError):
        code = 128 + error.signal_number if isinstance(error, StoppedError) else error.exit_code
        facts, lines = error.to_dict(), str(error)
    else:
        code = 1
        where = _save_traceback(error)
        kind = type(error).__name__
        facts = {"code": "E-UNEXPECTED", "summary": f"{kind}: {plain_text(str(error))}", "where": where}
        lines = f"E-UNEXPECTED: {kind}: {plain_text(str(error))} (this is a defect of raydistill; details: {where})"
    for line in lines.split("\n"):
        note(line)
    if Output.as_json:
        status = "stopped" if isinstance(error, StoppedError) else "failed"
        run_dir = str(Output.run_dir) if Output.run_dir else None
        print(
            json.dumps(
                {"status": status, "exit_code": code, "run_dir": run_dir, "error": facts},
                ensure_ascii=False,
                default=str,
            )
        )
    return code


def _save_traceback(error: BaseException) -> str:
    details = "".join(traceback.format_exception(error))
    folder = Output.run_dir if Output.run_dir and Output.run_dir.is_dir() else None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="raydistill-error-", suffix=".txt", dir=folder, delete=False
        ) as file:
            file.write(details)
            return file.name
    except OSError:
        print(details, file=sys.stderr)
        return "above"
