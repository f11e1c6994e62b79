"""The label cache of a run: a root folder with one entry per teacher, shared by all runs and data sets that use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foundation.errors import CorruptionError, FormatError
from teachers.cache import layout
from teachers.cache.config import CacheConfig
from teachers.cache.entry import Entry
from teachers.cache.entry_key import EntryKey
from teachers.cache.entry_record import load_key
from teachers.cache.store import Store, open_store


class LabelCache:
    """Entries by key; picklable. Open it where it's used: it holds no connection and no file."""

    def __init__(self, store: Store, *, paranoid: bool = False) -> None:
        self.store = store
        self.paranoid = paranoid

    @classmethod
    def open(cls, config: CacheConfig, base_dir: Path, *, create: bool = True, paranoid: bool = False) -> LabelCache:
        """Opens the cache of a configuration whose file lies in `base_dir`.

        Args:
            create: mark an empty root as a label cache at once; without it nothing is touched before the first write.
            paranoid: verify every shard in every process, whatever this host remembers.

        Raises:
            FormatError: the root belongs to another format or to something else.
        """
        location = config.root if "://" in config.root else str(Path(base_dir) / Path(config.root).expanduser())
        store = open_store(location)
        layout.check_format(store, create=create)
        return cls(store, paranoid=paranoid)

    def entry(self, key: EntryKey) -> Entry:
        """Returns the entry of a key, which may not exist yet: its folder comes with the first write."""
        return Entry(self.store, key, paranoid=self.paranoid)

    def entries(self) -> list[Entry]:
        """Returns the entries whose record can be read, in the order of their ids; see `damaged_entries`."""
        return [self.entry(key) for key in self._keys()[0]]

    def damaged_entries(self) -> list[CorruptionError | FormatError]:
        """Returns one error for each entry folder whose record is damaged, missing or from another format."""
        return self._keys()[1]

    def nearest(self, key: EntryKey) -> tuple[Entry, list[tuple[str, Any, Any]]] | None:
        """Returns the stored entry with the fewest differing parts, and these as (part, of `key`, stored); or None."""
        compared = [(key.differences(known), known) for known in self._keys()[0]]
        if not compared:
            return None
        differences, known = min(compared, key=lambda item: (len(item[0]), item[1].id))
        return self.entry(known), differences

    def _keys(self) -> tuple[list[EntryKey], list[CorruptionError | FormatError]]:
        keys: list[EntryKey] = []
        damaged: list[CorruptionError | FormatError] = []
        for name in layout.entries_in(self.store):
            try:
                keys.append(load_key(self.store, name))
            except (CorruptionError, FormatError) as error:
                damaged.append(error)
        return keys, damaged
