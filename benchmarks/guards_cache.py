"""The guards of the label cache and of the host that fills it; part of `guards_list.py`."""

from __future__ import annotations

from benchmarks.guards import Guard
from benchmarks.patching import Cut

_TESTS = "tests/teachers/cache"
_STORE = "teachers/cache/stores/local.py"
_SHELF = "teachers/cache/shelf.py"
_SEALED = "teachers/cache/sealed.py"
_RECEIPTS = "teachers/cache/receipts.py"
_ENTRY = "teachers/cache/entry.py"
_ADDITIONS = "teachers/cache/additions.py"
_LEDGER = "teachers/cache/ledger.py"
_GENERATION = "teachers/cache/generation.py"
_RECOVERY = "teachers/cache/recovery.py"
_VERIFIED = "teachers/cache/verified.py"
_LAYOUT = "teachers/cache/layout.py"
_HOST = "teachers/host.py"
_LOOKS_AGAIN = """
try:
    entry.shelf.open(shard, rows=record.rows, trust=False)
except (CorruptionError, FormatError):
    pass
else:
    return 0
"""
_ALONE = "tests/guards/test_cache_guards.py"
_COMMITS = "tests/guards/test_commits.py"
_DURABILITY = "tests/guards/test_durability.py"

STORE = (
    Guard(
        "store-first-object-wins",
        "a stored object is never overwritten, also when two writers race",
        Cut(_STORE, "_link", "os.link(temp, path)", "os.replace(temp, path)"),
        f"{_TESTS}/test_local_store.py::test_the_loser_leaves_the_winner_alone",
    ),
    Guard(
        "store-bytes-before-name",
        "an object's bytes are on the disk before its name is",
        Cut(
            _STORE,
            "_write",
            "crash_point(f'put.{short}.written')\nos.fsync(fd)",
            "crash_point(f'put.{short}.written')",
        ),
        f"{_DURABILITY}::test_a_stored_object_is_durable_before_it_is_acknowledged",
    ),
    Guard(
        "store-name-before-acknowledgement",
        "an object's name is on the disk before the writer is told so",
        Cut(_STORE, "LocalStore.put_if_absent", "_sync_folder(folder)", "None"),
        f"{_DURABILITY}::test_a_stored_object_is_durable_before_it_is_acknowledged",
    ),
    Guard(
        "store-new-folders",
        "a new folder is on the disk, too",
        Cut(_STORE, "_make_folders", "_sync_folder(parent)", "None"),
        f"{_DURABILITY}::test_a_new_folder_is_durable_in_its_parent",
    ),
    Guard(
        "store-write-aside",
        "a torn write never carries a final name",
        Cut(
            _STORE,
            "LocalStore.put_if_absent",
            "_write(temp, data, short, in_place=False)",
            "_write(path, data, short, in_place=False)",
        ),
        f"{_TESTS}/test_crashes.py::test_killed_in_the_middle_of_a_write",
    ),
    Guard(
        "store-names",
        "no name leads out of the root",
        Cut(_STORE, "LocalStore._path", "not all(_SEGMENT.match(segment) for segment in segments)", "False"),
        f"{_TESTS}/test_local_store.py::test_names_that_nobody_builds_are_refused",
    ),
    Guard(
        "store-linked-folders",
        "a linked folder leads nowhere",
        Cut(_STORE, "LocalStore._path", "os.path.realpath(folder) != folder", "False"),
        f"{_TESTS}/test_local_store.py::test_links_are_not_followed",
    ),
    Guard(
        "store-linked-files",
        "a linked object is not followed",
        Cut(
            _STORE,
            "_opened",
            "os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC",
            "os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC",
        ),
        f"{_TESTS}/test_local_store.py::test_links_are_not_followed",
    ),
)

SHARDS = (
    Guard(
        "shard-digest-before-parsing",
        "bytes that are not the committed ones give no value",
        Cut(_SHELF, "Shelf.open", "not known and (found := digest(blob.data)) != shard", "False"),
        f"{_TESTS}/test_damage.py::test_every_part_of_a_shard_is_covered_by_the_digest",
    ),
    Guard(
        "shard-frame",
        "a shard with a valid digest but another schema is refused",
        Cut(_SHELF, "Shelf._framed", "first != around.header or last != around.trailer", "False"),
        f"{_TESTS}/test_damage.py::test_a_hostile_shard_with_a_valid_digest_is_refused",
    ),
    Guard(
        "shard-size",
        "a shard of another size than its rows need is refused",
        Cut(_SHELF, "Shelf._framed", "len(blob.data) != around.size", "False"),
        f"{_ALONE}::test_bytes_between_the_columns_and_the_end_are_refused",
    ),
    Guard(
        "shard-row-keys",
        "a shard with other rows than its record says is refused",
        Cut(
            _SHELF,
            "Shelf.open",
            'keys_N is not None and to_bytes(columns["row_key"]) != to_bytes(keys_N)',
            "False",
        ),
        f"{_ALONE}::test_a_shard_with_other_rows_than_its_record_is_refused",
    ),
    Guard(
        "shard-sound-values",
        "a shard with values no codec writes (NaN, a maximum that is none) is refused",
        Cut(_SHELF, "Shelf.open", "not self.codec.sound(columns)", "False"),
        f"{_TESTS}/test_damage.py::test_a_hostile_shard_with_a_valid_digest_is_refused",
    ),
    Guard(
        "shard-damaged-in-its-place",
        "a damaged file under the name of a new shard is moved away, not taken for it",
        Cut(_SHELF, "Shelf.put", "there is not None and digest(there.data) == shard", "True"),
        f"{_TESTS}/test_entry.py::test_damaged_orphans_are_left_alone",
    ),
    Guard(
        "verified-by-all-four",
        "a shard is trusted only as long as size, time and inode are those that were verified",
        Cut(_VERIFIED, "_line", "f'{name} {stat.size} {stat.mtime_ns} {stat.inode}'", "f'{name}'"),
        f"{_TESTS}/test_damage.py::test_every_part_of_a_shard_is_covered_by_the_digest",
    ),
    Guard(
        "verified-paranoid",
        "a paranoid reader trusts no memory",
        Cut(
            _VERIFIED,
            "Verified.__init__",
            "Path(store.location, FOLDER, host) if local and not paranoid else None",
            "Path(store.location, FOLDER, host) if local else None",
        ),
        f"{_TESTS}/test_damage.py::test_a_flip_that_changes_no_times_is_found_by_paranoid_only",
    ),
    Guard(
        "shard-representable",
        "a value the codec cannot hold is never stored",
        Cut(
            _ENTRY,
            "Entry._check_logits",
            "np.argwhere(~self.shelf.codec.representable(logits_BC)) if keys else np.empty((0, 2))",
            "()",
        ),
        f"{_TESTS}/test_entry.py::test_values_the_codec_cannot_hold_are_never_stored",
    ),
    Guard(
        "shard-rows-of-the-unit",
        "labels of other rows than the unit's are not stored",
        Cut(
            _ENTRY,
            "Entry._check_unit",
            "len(told) != len(set(told)) or set(told) != set(unit.keys)",
            "False",
        ),
        f"{_TESTS}/test_entry.py::test_rows_that_are_not_the_units_are_refused",
    ),
)

RECORDS = (
    Guard(
        "record-digest",
        "a record whose bytes changed is never read",
        Cut(
            _SEALED,
            "unseal",
            "around != _PREFIX + _MIDDLE + b'}' or claimed != found.encode()",
            "False",
        ),
        f"{_ALONE}::test_a_record_that_still_reads_well_is_refused_when_a_digit_changed",
    ),
    Guard(
        "record-major-version",
        "a record of another major version is refused, not guessed at",
        Cut(_SEALED, "unseal", 'major != FORMAT["major"]', "False"),
        f"{_TESTS}/test_versions.py::test_another_major_is_refused_with_the_version_needed",
    ),
    Guard(
        "root-features",
        "a cache with features this version doesn't know is refused",
        Cut(_LAYOUT, "check_format", '(unknown := set(body.get("features", [])) - FEATURES)', "(unknown := set())"),
        f"{_TESTS}/test_versions.py::test_an_unknown_feature_is_refused",
    ),
    Guard(
        "receipt-under-its-name",
        "a receipt that lies under another's name is damage",
        Cut(_RECEIPTS, "get_receipt", "receipt.entry != entry or stem_of(receipt) != stem", "False"),
        f"{_TESTS}/test_damage.py::test_swapped_objects_are_found",
    ),
    Guard(
        "generation-under-its-name",
        "a generation that lies under another's name is damage",
        Cut(_LEDGER, "Ledger._load", "(found := {field: body.get(field) for field in mine}) != mine", "False"),
        f"{_TESTS}/test_damage.py::test_swapped_objects_are_found",
    ),
    Guard(
        "generation-damaged-is-skipped",
        "a damaged generation hides its own additions only, and is named",
        Cut(
            _LEDGER,
            "Ledger._read",
            "damaged.append(f'generation {number}: {error.summary} ({error.expected}; found {error.found})')",
            "None",
        ),
        f"{_TESTS}/test_damage.py::test_a_damaged_generation_is_skipped_named_and_healed",
    ),
    Guard(
        "generation-rebase",
        "a writer that lost the race decides again on the winner's state",
        Cut(
            _LEDGER,
            "Ledger.commit",
            "self._store.put_if_absent(name, seal(body))",
            "self._store.put_if_absent(name, seal(body)) or True",
        ),
        f"{_COMMITS}::test_a_generation_that_lost_the_race_is_decided_again",
    ),
    Guard(
        "covers-void-after-removal",
        "no chunk counts as labelled once any of its rows may be gone",
        Cut(_GENERATION, "State.after", "frozenset() if gone else self.covers", "self.covers"),
        f"{_TESTS}/test_entry.py::test_covers_are_kept_until_rows_are_removed",
    ),
    Guard(
        "first-answer-stays",
        "a row shows the first committed answer; later ones are hidden",
        Cut(_ADDITIONS, "_placed", "elsewhere_N[offset] or key in taken", "key in taken"),
        f"{_ALONE}::test_later_answers_are_recorded_as_hidden",
    ),
    Guard(
        "first-answer-in-one-publication",
        "of two answers published together the first stays",
        Cut(_ADDITIONS, "_placed", "elsewhere_N[offset] or key in taken", "elsewhere_N[offset]"),
        f"{_ALONE}::test_of_two_answers_in_one_publication_the_later_is_recorded_as_hidden",
    ),
    Guard(
        "first-answer-after-damage",
        "a key that a damaged history shows twice is answered by the first, too",
        Cut("teachers/cache/row_table.py", "RowTable.__init__", "not first_N.all()", "False"),
        f"{_ALONE}::test_a_key_that_a_damaged_history_shows_twice_is_answered_by_the_first",
    ),
)

RECOVERY = (
    Guard(
        "recover-verifies",
        "an orphan is verified before it becomes visible",
        Cut(
            _RECOVERY,
            "recover",
            "entry.shelf.open(receipt.shard, from_hex(receipt.keys), rows=receipt.rows)",
            "None",
        ),
        f"{_TESTS}/test_entry.py::test_damaged_orphans_are_left_alone",
    ),
    Guard(
        "recover-shards-without-receipt",
        "a shard whose writer died before the receipt is adopted",
        Cut(_RECOVERY, "recover", "shard not in told and (orphan := _orphan(entry, shard))", "False"),
        f"{_TESTS}/test_entry.py::test_orphans_of_every_kind_are_recovered",
    ),
    Guard(
        "recover-hidden-twins",
        "a hidden answer comes back when the visible one is lost",
        Cut(_RECOVERY, "recover", "found + _twins(entry, state)", "found"),
        f"{_TESTS}/test_damage.py::test_a_hidden_answer_comes_back_when_the_visible_one_is_lost",
    ),
    Guard(
        "set-aside-looks-again",
        "a shard that was mended meanwhile is not removed",
        Cut(_RECOVERY, "_set_shard_aside", _LOOKS_AGAIN, "pass"),
        f"{_TESTS}/test_damage.py::test_a_shard_mended_meanwhile_is_not_set_aside",
    ),
    Guard(
        "host-same-rows",
        "a worker that reads other data than were planned labels nothing",
        Cut(_HOST, "TeacherHost._verified", "here != key", "False"),
        "tests/teachers/test_host.py::test_other_data_are_noticed",
    ),
    Guard(
        "host-same-batch-size",
        "every question has the same size, so a label's last bits don't depend on how rows were cut",
        Cut(
            _HOST,
            "TeacherHost._ask_in_batches",
            "np.concatenate([batch, np.full(size - len(batch), batch[-1], dtype=np.int64)])",
            "batch",
        ),
        "tests/teachers/test_host.py::test_every_question_has_the_same_size",
    ),
)

CACHE: tuple[Guard, ...] = (*STORE, *SHARDS, *RECORDS, *RECOVERY)
