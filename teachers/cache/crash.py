"""A door for the fault tests: die by SIGKILL at a named step, or in the middle of a write.

Nothing happens unless RAYDISTILL_CRASH_AT is set. `put.data.linked` dies at that point; `bytes.data=1000` dies when
1000 bytes of an object of the folder `data` are on their way to the disk; `bytes.data=1000@place` dies in the second
write, to the final name, that a disk without links needs. The exhaustive tests walk over `POINTS`.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "RAYDISTILL_CRASH_AT"
FOLDERS = ("data", "receipts", "manifest", "")  # "" stands for entry.json
STEPS = ("opened", "written", "synced", "linked", "unlinked", "done")
POINTS = (
    *(f"put.{folder}.{step}" for folder in FOLDERS for step in STEPS),
    "write.start",
    "write.shard_stored",
    "write.receipt_stored",
    "publish.start",
    "publish.committed",
    "set_aside.moved",
)


def crash_point(name: str) -> None:
    """Kills this process when the tests asked for it at this point."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)


def crash_after_bytes(folder: str, *, in_place: bool) -> int | None:
    """Returns how many bytes of an object in `folder` may still be written before `crash_now`, or None."""
    wanted, place, _ = os.environ.get(VARIABLE, "").partition("@place")
    prefix = f"bytes.{folder}="
    return int(wanted.removeprefix(prefix)) if wanted.startswith(prefix) and in_place == bool(place) else None


def crash_now() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
