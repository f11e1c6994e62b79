"""Collects receipts and makes their labels visible in groups: one generation for many units, once a second or so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from foundation.events import Event
from orchestrator.cluster.events import LabelsPublished
from teachers.cache.entry import Entry
from teachers.units import Receipt

_MOST = 256  # receipts in hand at most; they are durable already, so nothing is lost by waiting


class Publisher:
    """Receipts in hand, by teacher."""

    def __init__(self, entries: Mapping[str, Entry], run: str, every_s: float) -> None:
        self._entries, self._run, self._every_s = dict(entries), run, every_s
        self._held: dict[str, list[Receipt]] = {}
        self._last = 0.0

    def add(self, teacher: str, receipt: Receipt) -> None:
        """Takes a receipt in hand."""
        self._held.setdefault(teacher, []).append(receipt)

    def publish_if_due(self, now: float) -> Iterator[Event]:
        """Publishes when a period has passed, or a lot is in hand."""
        if now - self._last >= self._every_s or sum(map(len, self._held.values())) >= _MOST:
            self._last = now
            yield from self.publish()

    def publish(self, teacher: str | None = None) -> Iterator[Event]:
        """Publishes everything in hand, or what belongs to one teacher."""
        for name in [teacher] if teacher is not None else list(self._held):
            if receipts := self._held.get(name):
                generation = self._entries[name].publish(receipts, run=self._run)
                del self._held[name]
                yield LabelsPublished(name, generation, len(receipts))
