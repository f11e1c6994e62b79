"""Which rows does a teacher still have to label? Pure: rows, what is wanted, what is committed -> units of work.

Everything goes by row key: appended rows are new, edited rows are new rows, re-ordered, filtered and shared rows are
not; equal rows are labelled once. Rows in quarantine are reported, not asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from teachers.row_keys import CHUNK_ROWS, KEY_DTYPE, RowKeys, chunk_digests, from_hex, to_hex
from teachers.rows import Rows
from teachers.units import Unit


class CommittedLike(Protocol):
    """What is known of a cache entry: `teachers.cache` delivers it; `NOTHING` stands for an entry that isn't there."""

    @property
    def keys(self) -> RowKeys: ...
    @property
    def quarantined(self) -> Mapping[str, str]: ...
    @property
    def covers(self) -> frozenset[str]: ...


@dataclass(frozen=True)
class Nothing:
    """An entry without a label."""

    keys: RowKeys
    quarantined: Mapping[str, str]
    covers: frozenset[str]


NOTHING = Nothing(np.empty(0, dtype=KEY_DTYPE), {}, frozenset())


@dataclass(frozen=True)
class LabelPlan:
    """Work for one teacher.

    Attributes:
        units: at most `unit_rows` rows each, in the order of the wanted rows.
        rows_new: rows the teacher will be asked for.
        rows_reused: distinct wanted rows whose label is committed.
        rows_duplicate: wanted rows whose content is wanted earlier already.
        quarantined: (row key in hex, reason) of wanted rows that were set aside before.
        chunks: digests of the wanted rows by 65 536, to publish as `covers` when all of them are labelled.
    """

    units: tuple[Unit, ...]
    rows_new: int
    rows_reused: int
    rows_duplicate: int
    quarantined: tuple[tuple[str, str], ...]
    chunks: tuple[str, ...]


def plan_units(
    teacher: str, entry_id: str, rows: Rows, wanted_positions: np.ndarray, committed: CommittedLike, unit_rows: int
) -> LabelPlan:
    """Returns the plan for one teacher's wanted rows (positions int64 [M], any order, repeats allowed)."""
    positions = np.asarray(wanted_positions, dtype=np.int64)
    keys = rows.keys[positions]
    chunks = chunk_digests(keys)
    covered = np.repeat([chunk in committed.covers for chunk in chunks], CHUNK_ROWS)[: len(keys)].astype(bool)
    first = np.zeros(len(keys), dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    # Only rows of chunks that aren't covered are looked up; at 10^8 rows that is what makes the second run short.
    open_rows = np.flatnonzero(first & ~covered)
    labelled = np.isin(keys[open_rows], committed.keys)
    open_rows = open_rows[~labelled]
    aside = np.zeros(len(open_rows), dtype=bool)
    if committed.quarantined:
        aside = np.isin(keys[open_rows], from_hex(sorted(committed.quarantined)))
    new_rows = open_rows[~aside]
    hexes = to_hex(keys[new_rows])
    places = positions[new_rows].tolist()
    units = tuple(
        Unit(teacher, entry_id, tuple(places[at : at + unit_rows]), tuple(hexes[at : at + unit_rows]))
        for at in range(0, len(places), unit_rows)
    )
    set_aside = tuple((key, committed.quarantined[key]) for key in to_hex(keys[open_rows[aside]]))
    return LabelPlan(
        units=units,
        rows_new=len(new_rows),
        rows_reused=int(first.sum()) - len(open_rows),
        rows_duplicate=int(len(keys) - first.sum()),
        quarantined=set_aside,
        chunks=tuple(chunks),
    )
