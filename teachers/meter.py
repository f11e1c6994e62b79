"""Counts the rows that teachers answered in this process.

Every teacher that `build.load_teacher` returns reports here, so a stage that promises not to ask a teacher can show
it: the count before equals the count after.
"""

from __future__ import annotations

import threading


class TeacherMeter:
    """Rows answered and teachers loaded since the process started; safe to use from several threads."""

    _lock = threading.Lock()
    _rows: dict[str, int] = {}
    _loads: dict[str, int] = {}

    @classmethod
    def add(cls, teacher: str, rows: int) -> None:
        """Notes `rows` answers of one teacher."""
        with cls._lock:
            cls._rows[teacher] = cls._rows.get(teacher, 0) + rows

    @classmethod
    def add_load(cls, teacher: str) -> None:
        """Notes that a teacher was loaded (or fitted)."""
        with cls._lock:
            cls._loads[teacher] = cls._loads.get(teacher, 0) + 1

    @classmethod
    def rows(cls, teacher: str | None = None) -> int:
        """Rows answered by one teacher, or by all."""
        with cls._lock:
            return sum(cls._rows.values()) if teacher is None else cls._rows.get(teacher, 0)

    @classmethod
    def loads(cls, teacher: str | None = None) -> int:
        """Times one teacher, or any, was loaded."""
        with cls._lock:
            return sum(cls._loads.values()) if teacher is None else cls._loads.get(teacher, 0)
