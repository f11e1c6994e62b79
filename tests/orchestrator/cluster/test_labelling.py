"""Labelling on real Ray: real actors, real SIGKILLs, the real cache."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foundation.errors import InfeasibleError, TeacherError
from foundation.events import Event
from orchestrator.cluster import events
from orchestrator.cluster.labelling import label
from orchestrator.cluster.session import Session

from .project import PLAIN, Project, make_project

pytestmark = pytest.mark.ray


def plain(scale: float = 1.0) -> str:
    return PLAIN.replace("SCALE", str(scale))


def slow(seconds: float, scale: float = 1.0) -> str:
    return plain(scale).replace("    x = ", f"    import time; time.sleep({seconds})\n    x = ")


def of(kind: type[Any], told: list[Event]) -> list[Any]:
    return [event for event in told if isinstance(event, kind)]


def check_complete(project: Project, teacher: str, scale: float = 1.0) -> None:
    logits, present = project.labels(teacher)
    assert present.all()
    np.testing.assert_allclose(logits, project.expected(scale), atol=1e-6)  # stored relative to the row's maximum


def test_two_teachers_label_everything(ray_session: Session, tmp_path: Path) -> None:
    project = make_project(tmp_path, {"plain_a": plain(1.0), "plain_b": plain(2.0)})
    told = list(label(ray_session, project.tasks(), project.spec, journal=project.journal))
    check_complete(project, "plain_a", 1.0)
    check_complete(project, "plain_b", 2.0)
    assert len(of(events.UnitDone, told)) == 24
    assert {event.teacher for event in of(events.PoolDone, told)} == {"plain_a", "plain_b"}
    pids = {event.teacher: event.pid for event in of(events.ActorReady, told)}
    assert len(set(pids.values())) == 2 and os.getpid() not in pids.values()
    loads = project.journal.all("loads").values()
    assert sorted(record["teacher"] for record in loads) == ["plain_a", "plain_b"]
    assert {record["pid"] for record in loads} == set(pids.values())
    again = list(label(ray_session, project.tasks(), project.spec, journal=project.journal))
    assert again == []
    assert len(project.journal.keys("loads")) == 2


def test_nothing_large_goes_through_the_object_store(
    ray_session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    def trapped(*args: object, **kwargs: object) -> None:
        raise AssertionError("ray.put was called")

    monkeypatch.setattr(ray, "put", trapped)
    sizes: list[int] = []
    real_get = ray.get

    def weighed(refs: Any, **kwargs: Any) -> Any:
        import pickle

        assert kwargs.get("timeout") is not None, "ray.get without a limit"
        value = real_get(refs, **kwargs)
        sizes.append(len(pickle.dumps(value)))
        return value

    monkeypatch.setattr(ray, "get", weighed)
    project = make_project(tmp_path, {"plain_trap": plain()}, rows=3000, unit_rows=3000)
    list(label(ray_session, project.tasks(), project.spec, journal=project.journal))
    check_complete(project, "plain_trap")
    assert sizes and max(sizes) < 100_000, "a return value would have gone to the object store"


def killer(project: Project, told: list[Event], stream: Iterator[Event], kills: int) -> None:
    """Drives the stream and SIGKILLs a random living actor now and then."""
    chance = random.Random(7)
    alive: dict[int, int] = {}
    for event in stream:
        told.append(event)
        if isinstance(event, events.ActorReady):
            alive[event.actor] = event.pid
        if isinstance(event, events.ActorDied):
            alive.pop(event.actor, None)
        if isinstance(event, events.UnitDone) and kills and alive and chance.random() < 0.4:
            kills -= 1
            time.sleep(chance.random() * 0.05)
            _, pid = alive.popitem()
            os.kill(pid, signal.SIGKILL)


def test_actors_that_are_killed_cost_nothing_but_time(ray_session: Session, tmp_path: Path) -> None:
    project = make_project(tmp_path, {"slow_kill": slow(0.02)}, rows=160)
    told: list[Event] = []
    killer(project, told, label(ray_session, project.tasks(max=2), project.spec, journal=project.journal), kills=5)
    check_complete(project, "slow_kill")
    assert len(of(events.ActorDied, told)) == len(project.journal.keys("deaths")) == 5
    assert not of(events.RowQuarantined, told)
    entry = project.tasks()[0].entry
    assert entry.committed().rows == 160
    assert not project.tasks()[0].units


POISON = """
KIND = "function"
VERSION = "1"
import os
import numpy as np
def answer(inputs):
    x = inputs["x"]
    if np.any(np.all(x == np.array(BAD, dtype=np.float32), axis=1)):
        {action}
    return np.stack([x[:, 0], x[:, 1], x[:, 0] - x[:, 1]], axis=1)
"""


@pytest.mark.parametrize("action", ["os._exit(1)", "raise ValueError('no such thing')"])
def test_a_poison_row_is_found_and_set_aside(ray_session: Session, tmp_path: Path, action: str) -> None:
    name = "poison_exit" if "exit" in action else "poison_raise"
    bad = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32).round(3)[13]
    source = POISON.format(action=action).replace("BAD", str([float(value) for value in bad]))
    project = make_project(tmp_path, {name: source, f"{name}_good": plain()})
    told = list(label(ray_session, project.tasks(), project.spec, journal=project.journal))
    [aside] = of(events.RowQuarantined, told)
    assert aside.teacher == name
    _, present = project.labels(name)
    assert np.flatnonzero(~present).tolist() == [13]
    check_complete(project, f"{name}_good")
    entry = next(task.entry for task in project.tasks() if task.teacher == name)
    assert list(entry.committed().quarantined) == [aside.row_key]
    assert not any(task.units for task in project.tasks()), "a quarantined row isn't asked again"


def test_a_teacher_that_dies_while_loading_gives_up_and_the_others_finish(ray_session: Session, tmp_path: Path) -> None:
    crash = plain() + "\nimport os, sys\nif 'default_worker' in sys.argv[0]: os._exit(1)\n"
    project = make_project(tmp_path, {"crash_loop": crash, "crash_good": plain()})
    told: list[Event] = []
    with pytest.raises(TeacherError, match="given up") as caught:
        for event in label(ray_session, project.tasks(), project.spec, journal=project.journal):
            told.append(event)
    assert "crash_loop" in str(caught.value)
    check_complete(project, "crash_good")
    assert len(of(events.ActorDied, told)) == 3
    assert [event.teacher for event in of(events.PoolFailed, told)] == ["crash_loop"]


def test_a_policy_error_ends_the_teacher_and_says_which_row(ray_session: Session, tmp_path: Path) -> None:
    nan = plain().replace(".astype(np.float32)", ".astype(np.float32) / np.where(x[:, :1] > 1.5, 0, 1)")
    project = make_project(tmp_path, {"nan_teacher": nan})
    with pytest.raises(TeacherError, match="can't be stored"):
        list(label(ray_session, project.tasks(), project.spec, journal=project.journal))


def test_out_of_memory_halves_the_batch_and_remembers(ray_session: Session, tmp_path: Path) -> None:
    oom = plain().replace("    x = ", "    if len(inputs['x']) > 4: raise MemoryError()\n    x = ")
    project = make_project(tmp_path, {"oom_teacher": oom}, rows=64, unit_rows=16)
    told = list(label(ray_session, project.tasks(batch_size=16), project.spec, journal=project.journal))
    check_complete(project, "oom_teacher")
    assert {event.batch_size for event in of(events.UnitDone, told)} == {4}


def test_an_impossible_demand_is_named_at_once(ray_session: Session, tmp_path: Path) -> None:
    project = make_project(tmp_path, {"greedy": plain()})
    started = time.monotonic()
    with pytest.raises(InfeasibleError) as caught:
        list(label(ray_session, project.tasks(resources={"nope": 1}), project.spec, journal=project.journal))
    assert time.monotonic() - started < 10
    for part in ("greedy", "1 nope", "0 nope"):
        assert part in str(caught.value)


def test_seven_pools_take_turns_on_two_cpus(ray_session: Session, tmp_path: Path) -> None:
    names = {f"seven_{n}": plain(float(n)) for n in range(7)}
    project = make_project(tmp_path, names, rows=20)
    told = list(label(ray_session, project.tasks(), project.spec, journal=project.journal))
    for n in range(7):
        check_complete(project, f"seven_{n}", float(n))
    assert len({event.pid for event in of(events.ActorReady, told)}) == 7


def test_closing_early_keeps_what_is_finished(ray_session: Session, tmp_path: Path) -> None:
    project = make_project(tmp_path, {"slow_close": slow(0.05)}, rows=200)
    stream = label(ray_session, project.tasks(), project.spec, journal=project.journal, publish_every_s=1000.0)
    done = 0
    for event in stream:
        done += isinstance(event, events.UnitDone)
        if done == 3:
            break
    started = time.monotonic()
    stream.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 10
    assert project.tasks()[0].entry.committed().rows >= 15
    list(label(ray_session, project.tasks(), project.spec, journal=project.journal))
    check_complete(project, "slow_close")
