"""Reading the small JSON files of a run folder, with errors that name them. Writing them is `orchestrator.files`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from foundation.errors import CorruptionError, DataError


def read_json(path: Path) -> Any:
    """Reads a JSON file. Raises `DataError` if it is missing and `CorruptionError` if it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            "A file of the run folder is missing.",
            where=path,
            next_step="run the same command again: it resumes, then writes the report",
        ) from error
    except ValueError as error:
        raise CorruptionError("A file of the run folder can't be read as JSON.", found=error, where=path) from error
