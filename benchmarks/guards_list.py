"""The guards that `make guards` takes out one by one. Kept in the order in which work passes them.

Add one whenever a check or an order of steps is there to keep a promise whose breach nobody would see at once.
"""

from __future__ import annotations

from benchmarks.guards import Guard
from benchmarks.guards_cache import CACHE
from benchmarks.patching import Cut

_JOURNAL = "orchestrator/journal.py"
_JOURNAL_TESTS = "tests/orchestrator/test_journal.py"
_DISPATCHER = "orchestrator/cluster/dispatcher.py"
_DISPATCHER_TESTS = "tests/orchestrator/cluster/test_dispatcher.py"
_DISPATCHER_GUARDS = "tests/guards/test_dispatcher_guards.py"
_DURABILITY = "tests/guards/test_durability.py"

JOURNAL = (
    Guard(
        "journal-first-record-wins",
        "a record, once acknowledged, is never overwritten",
        Cut(_JOURNAL, "_put_if_absent", "os.link(temporary, path)", "os.replace(temporary, path)"),
        f"{_JOURNAL_TESTS}::test_the_first_record_is_the_only_one",
    ),
    Guard(
        "journal-bytes-before-name",
        "a record's bytes are on the disk before its name is",
        Cut(_JOURNAL, "_put_if_absent", "os.fsync(file.fileno())", "None"),
        f"{_DURABILITY}::test_a_journal_record_is_durable_before_it_is_acknowledged",
    ),
    Guard(
        "journal-name-before-acknowledgement",
        "a record's name is on the disk before the writer is told so",
        Cut(_JOURNAL, "_put_if_absent", "os.fsync(folder)", "None"),
        f"{_DURABILITY}::test_a_journal_record_is_durable_before_it_is_acknowledged",
    ),
    Guard(
        "journal-digest",
        "a record whose bytes changed is never served",
        Cut(_JOURNAL, "_parse", 'fingerprint(record) == envelope["digest"]', "True"),
        f"{_JOURNAL_TESTS}::test_a_damaged_record_is_set_aside_and_named",
    ),
    Guard(
        "journal-set-aside",
        "a damaged record makes room for a new one and is named",
        Cut(_JOURNAL, "Journal.get", "self._set_aside(kind, path)", "None"),
        f"{_JOURNAL_TESTS}::test_a_damaged_record_is_set_aside_and_named",
    ),
    Guard(
        "journal-keys",
        "a key never leads out of the journal's folder",
        Cut(_JOURNAL, "Journal._path", "not _NAME.match(name)", "False"),
        f"{_JOURNAL_TESTS}::test_keys_cannot_leave_the_folder",
    ),
    Guard(
        "journal-temporary-files",
        "what a dead writer left half-written is not a record",
        Cut(_JOURNAL, "_is_record", "name.endswith('.json') and not name.startswith(_TEMPORARY)", "True"),
        f"{_JOURNAL_TESTS}::test_what_a_dead_writer_left_is_not_a_record",
    ),
)

DISPATCHER = (
    Guard(
        "dispatcher-queued-units-return",
        "units a dead actor held but had not begun go back to the queue",
        Cut(_DISPATCHER, "Dispatcher.died", "pool.queue.extendleft(reversed(innocent))", "None"),
        f"{_DISPATCHER_TESTS}::test_every_row_is_labelled_once_or_is_poison",
    ),
    Guard(
        "dispatcher-only-the-first-is-blamed",
        "a unit that only waited in a dying actor takes no blame",
        Cut(
            _DISPATCHER,
            "Dispatcher.died",
            "self._blame(pool, gone.in_flight[0], reason)",
            "self._blame(pool, gone.in_flight[-1], reason)",
        ),
        f"{_DISPATCHER_TESTS}::test_a_queued_unit_takes_no_blame_for_the_running_one",
    ),
    Guard(
        "dispatcher-suspects-are-alone",
        "a suspect never shares its actor, so the blame stays certain",
        Cut(
            _DISPATCHER,
            "Dispatcher._may_take",
            "not actor.in_flight or not (work.suspect or any(held.suspect for held in actor.in_flight))",
            "True",
        ),
        f"{_DISPATCHER_GUARDS}::test_a_suspect_waits_until_its_actor_is_empty",
    ),
    Guard(
        "dispatcher-draining-takes-nothing",
        "an actor that gives its resources back gets no new unit, and units go to living actors only",
        Cut(_DISPATCHER, "Dispatcher._may_take", "not actor.is_ready or actor.draining", "not actor.is_ready"),
        f"{_DISPATCHER_TESTS}::test_seven_pools_on_two_cpus_all_get_a_turn",
    ),
    Guard(
        "dispatcher-cut-after-three-deaths",
        "a unit that keeps killing its actor is cut in two, so that one row can't hold up the others",
        Cut(_DISPATCHER, "Dispatcher._blame", "work.deaths < patience", "True"),
        f"{_DISPATCHER_TESTS}::test_one_poison_row_costs_a_bounded_number_of_deaths",
    ),
    Guard(
        "dispatcher-parts-lose-patience",
        "the search for a poison row costs a bounded number of deaths",
        Cut(_DISPATCHER, "Dispatcher._blame", "work.part and not single", "False"),
        f"{_DISPATCHER_TESTS}::test_one_poison_row_costs_a_bounded_number_of_deaths",
    ),
    Guard(
        "dispatcher-hopeless",
        "a teacher that fails on everything stops before every row is set aside",
        Cut(_DISPATCHER, "Dispatcher._blame", "pool.fruitless >= self._limits.hopeless", "False"),
        f"{_DISPATCHER_TESTS}::test_a_teacher_that_fails_on_everything_gives_up_before_it_sets_every_row_aside",
    ),
    Guard(
        "dispatcher-never-starts",
        "a teacher that can't be loaded isn't started for ever",
        Cut(_DISPATCHER, "Dispatcher.died", "pool.start_failures >= self._limits.start_failures", "False"),
        f"{_DISPATCHER_TESTS}::test_a_teacher_that_never_starts_gives_up_and_the_others_finish",
    ),
    Guard(
        "dispatcher-turns",
        "a pool that has held resources for its turn gives some to one that waits",
        Cut(_DISPATCHER, "Dispatcher.decide", "self._rotate(now)", "None"),
        f"{_DISPATCHER_TESTS}::test_seven_pools_on_two_cpus_all_get_a_turn",
    ),
    Guard(
        "dispatcher-kept-for-the-large",
        "what comes free is kept for a large demand that has waited its turn",
        Cut(
            _DISPATCHER,
            "Dispatcher._start",
            "not pool.actors and now - pool.waiting_since >= self._limits.turn_s",
            "False",
        ),
        f"{_DISPATCHER_GUARDS}::test_what_comes_free_is_kept_for_a_large_demand_that_waits",
    ),
    Guard(
        "dispatcher-stale-reports",
        "a report about a unit its actor doesn't hold changes nothing",
        Cut(_DISPATCHER, "Dispatcher._take", "work.unit.id == unit_id", "True"),
        f"{_DISPATCHER_GUARDS}::test_a_report_about_a_unit_the_actor_does_not_hold_changes_nothing",
    ),
)

GUARDS: tuple[Guard, ...] = (*CACHE, *DISPATCHER, *JOURNAL)
