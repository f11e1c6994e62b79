"""Any sequence of writing, publishing, losing and recovering keeps: what was published and not damaged is visible,
each row once, with the first committed answer; nothing else is visible."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from teachers.cache import layout
from teachers.cache.cache import LabelCache
from teachers.cache.config import CacheConfig
from teachers.cache.entry import Entry
from teachers.units import Receipt
from tests.teachers.cache.labels import key_of, keys_array, logits_of, write

ROWS = range(12)
row_sets = st.sets(st.sampled_from(ROWS), min_size=1, max_size=5)
writers = st.integers(0, 1)


class CacheLife(RuleBasedStateMachine):
    """Two writers with states of their own, and a model: which answer each row must show."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.entries = [self.fresh(), self.fresh()]
        self.loose: list[tuple[Receipt, int]] = []
        self.model: dict[int, int] = {}
        self.answer_of: dict[str, int] = {}
        self.rows_of: dict[str, tuple[int, ...]] = {}
        self.attempt = 0

    def fresh(self) -> Entry:
        return LabelCache.open(CacheConfig(), Path(self.folder.name)).entry(key_of())

    @rule(rows=row_sets, writer=writers, answer=st.integers(0, 2), lose_receipt=st.booleans())
    def label(self, rows: set[int], writer: int, answer: int, lose_receipt: bool) -> None:
        self.attempt += 1
        receipt = write(self.entries[writer], sorted(rows), answer, attempt=self.attempt)
        self.answer_of[receipt.shard] = answer
        self.rows_of[receipt.shard] = tuple(sorted(rows))
        if lose_receipt:
            entry = self.entries[writer]
            for stem in layout.receipts_in(entry.store, entry.id):
                if stem not in entry.ledger.state().receipts:
                    entry.store.delete(layout.receipt_name(entry.id, stem))
            self.loose = []
        else:
            self.loose.append((receipt, answer))

    @precondition(lambda self: self.loose)
    @rule(writer=writers, data=st.data())
    def publish(self, writer: int, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.loose), min_size=1, max_size=3))
        self.entries[writer].publish([receipt for receipt, _ in some])
        for receipt, _ in some:
            self.shown(receipt)

    @rule(writer=writers)
    def recover(self, writer: int) -> None:
        found = self.entries[writer].recover()
        self.entries[writer].publish(found)
        for receipt in found:
            self.shown(receipt)
        assert self.entries[writer].recover() == []

    @precondition(lambda self: self.model)
    @rule(writer=writers, data=st.data(), vanish=st.booleans())
    def damage(self, writer: int, data: st.DataObject, vanish: bool) -> None:
        entry = self.entries[writer]
        shard = data.draw(st.sampled_from(sorted(entry.ledger.state().shards)))
        path = Path(entry.store.location) / layout.data_name(entry.id, shard)
        if vanish:
            path.unlink()
        else:
            content = bytearray(path.read_bytes())
            content[data.draw(st.integers(0, len(content) - 1))] ^= 4
            path.write_bytes(content)
        record = entry.ledger.state().shards[shard]
        [found] = entry.audit()
        assert entry.set_aside(found) == record.rows - len(record.hidden)
        self.loose = [item for item in self.loose if item[0].shard != shard]
        for offset, row in enumerate(self.rows_of[shard]):
            if offset not in record.hidden:
                del self.model[row]

    @rule(writer=writers)
    def restart(self, writer: int) -> None:
        self.entries[writer] = self.fresh()

    def shown(self, receipt: Receipt) -> None:
        for row in self.rows_of[receipt.shard]:
            self.model.setdefault(row, self.answer_of[receipt.shard])

    @invariant()
    def every_reader_sees_the_model(self) -> None:
        for entry in (self.fresh(), *self.entries):
            logits, present = entry.reader().gather(keys_array(ROWS))
            assert {row for row in ROWS if present[row]} == set(self.model)
            for row, answer in self.model.items():
                assert np.array_equal(logits[row], logits_of([row], answer)[0])
            assert entry.committed().rows == len(self.model)

    def teardown(self) -> None:
        self.folder.cleanup()


CacheLife.TestCase.settings = hypothesis_settings(max_examples=25, stateful_step_count=12, deadline=None)
TestCacheLife = CacheLife.TestCase
