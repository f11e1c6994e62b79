"""Reads and writes the generations of one entry: `manifest/<n>.json`, each put if absent.

The newest valid generation counts. Reading walks back from the newest file to the newest fold (or to what this
process knows already) and applies the changes in order. A generation that is damaged or gone is skipped and named in
`State.damaged`; its rows come back through `recovery.py`, and the next generation is a fold, so nobody meets the
damage again. A generation file is never moved or replaced: a hole could be filled with a second history.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from foundation.errors import CorruptionError, FormatError, StorageError
from teachers.cache import layout
from teachers.cache.crash import crash_point
from teachers.cache.generation import Change, State, apply_body, should_fold, to_body
from teachers.cache.sealed import seal, unseal
from teachers.cache.store import Store

_MOST_RACES = 10_000


class Ledger:
    """The generations of one entry. Keeps the newest state it has seen; picklable."""

    def __init__(self, store: Store, entry: str) -> None:
        self._store = store
        self._entry = entry
        self._state = State()

    @property
    def seen(self) -> State:
        """The newest state this process has read or written; nothing is read now."""
        return self._state

    def state(self) -> State:
        """Returns the newest state: one listing when nothing is new. Raises `FormatError` for a future format."""
        numbers = layout.generations_in(self._store, self._entry)
        newest = numbers[-1] if numbers else 0
        if newest > self._state.generation:
            self._state = self._read(newest)
        return self._state

    def commit(self, decide: Callable[[State], Change], *, run: str = "", heal: bool = False) -> State:
        """Makes `decide(newest state)` the next generation and returns the outcome.

        A lost race means deciding again on the winner's state; so does a lost reply, after which there is nothing left
        to decide. Nothing is written when there is nothing to change, unless `heal` asks for a fold over damage.
        """
        crash_point("publish.start")
        commit = secrets.token_hex(16)
        for race in range(_MOST_RACES):
            state = self.state()
            change = decide(state)
            if not change and not (heal and state.damaged):
                return state
            fold = should_fold(state, change)
            outcome = replace(state.after(change, state.generation + 1, fold=fold), damaged=())
            body = to_body(self._entry, commit, run, change, outcome, fold=fold)
            name = layout.generation_name(self._entry, outcome.generation)
            if self._store.put_if_absent(name, seal(body)):
                crash_point("publish.committed")
                self._state = outcome
                return outcome
            time.sleep(random.uniform(0, min(0.05, 0.001 * (race + 1))))
        raise StorageError("Other writers were always faster.", where=self._store.location, next_step="run it again")

    def _read(self, newest: int) -> State:
        known, bodies, damaged = self._state, [], []
        for number in range(newest, known.generation, -1):
            try:
                body = self._load(number)
            except CorruptionError as error:
                damaged.append(f"generation {number}: {error.summary} ({error.expected}; found {error.found})")
                continue
            bodies.append(body)
            if body["fold"] is not None:
                known = State()
                break
        state = known
        for body in reversed(bodies):
            try:
                state = apply_body(state, body)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                where = f"{self._store.location}/{layout.generation_name(self._entry, int(body['generation']))}"
                raise FormatError("A generation lacks what it must have.", found=repr(error), where=where) from error
        if not damaged:
            return replace(state, generation=newest)
        # A skipped generation may have removed rows: what was said of whole chunks no longer holds.
        return replace(state, generation=newest, covers=frozenset(), damaged=(*state.damaged, *damaged))

    def _load(self, number: int) -> dict[str, Any]:
        name = layout.generation_name(self._entry, number)
        where = f"{self._store.location}/{name}"
        blob = self._store.fetch(name)
        if blob is None:
            raise CorruptionError("A generation is gone.", expected="a record", found="no file", where=where)
        body = unseal(blob.data, where)
        mine = {"generation": number, "entry": self._entry}
        if (found := {field: body.get(field) for field in mine}) != mine:
            raise CorruptionError("A generation lies under another's name.", expected=mine, found=found, where=where)
        return body
