"""The loop: learns, repeats itself bit for bit, resumes anywhere, holds rows out, leaves the process as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from foundation import registry
from foundation.errors import ConfigError, CorruptionError, FormatError
from pipelines.evaluate import predict
from pipelines.loop import Alone, EpochDone, Loop, LoopState, TrainJob, train
from tests.pipelines.toy import job, objective, world


def finish(template: TrainJob, data=None, **options) -> EpochDone:  # type: ignore[no-untyped-def]
    *_, last = train(template, data or world(), **options)
    return last


def parameters(done: EpochDone) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in done.student.parameters()]).clone()


def test_losses_fall_and_events_count() -> None:
    events = [(done.epoch, done.last, done.losses) for done in train(job(epochs=12), world())]
    assert [event[:2] for event in events] == [(n, n == 12) for n in range(1, 13)]
    for name in ("distill", "labels", "total"):
        assert events[-1][2][name] < 0.95 * events[0][2][name]


def test_same_seed_same_bits_other_seed_other_student() -> None:
    assert torch.equal(parameters(finish(job())), parameters(finish(job())))
    assert not torch.allclose(parameters(finish(job())), parameters(finish(job(seed=2))))


def test_two_loops_side_by_side_do_not_touch_each_other_or_the_process() -> None:
    torch.manual_seed(99)  # a state that no training leaves behind
    before = torch.random.get_rng_state()
    a, b = job(), job(seed=2)
    for one, two in zip(train(a, world()), train(b, world()), strict=True):
        last = (one, two)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(parameters(last[0]), parameters(finish(a)))
    assert torch.equal(parameters(last[1]), parameters(finish(b)))


DROPOUT = """
KIND = "module"
from torch import nn

def build(width, classes):
    return nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, classes))
"""


@pytest.fixture
def dropout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(registry, "_guests", dict(registry._guests))
    monkeypatch.setattr(registry, "_modules", dict(registry._modules))
    (tmp_path / "noisy_net.py").write_text(DROPOUT)
    registry.add_guest_file(tmp_path / "noisy_net.py")
    options = registry.load("student", "torch_module").Options
    return options(module="noisy_net", options={"width": 5, "classes": 4})


@pytest.mark.parametrize("stop", [1, 2, 4])
@pytest.mark.parametrize("noisy", [False, True])
def test_resume_after_an_epoch_equals_an_undisturbed_run(stop: int, noisy: bool, dropout) -> None:  # type: ignore[no-untyped-def]
    template = replace(job(epochs=5), student=dropout) if noisy else job(epochs=5)
    states = [done.state() for done in train(template, world()) if done.epoch == stop]
    saved = LoopState.from_bytes(states[0].to_bytes())
    resumed = list(train(template, world(), state=saved))
    assert [done.epoch for done in resumed] == list(range(stop + 1, 6))
    undisturbed = finish(template)
    assert torch.equal(parameters(resumed[-1]), parameters(undisturbed))
    for name, tensor in undisturbed.student.state_dict().items():
        assert torch.equal(resumed[-1].student.state_dict()[name], tensor)


def test_resume_in_mid_epoch_equals_an_undisturbed_run() -> None:
    template = job(epochs=3)
    loop = Loop(template, world(), Alone(), None, "cpu")
    loop.run_epoch()
    loop.run_epoch(stop_after=2)
    state = LoopState.from_bytes(loop.state().to_bytes())
    assert state.scalars() == {"order_version": 1, "seed": 1, "epoch": 1, "position": 16, "step": 6}
    assert torch.equal(parameters(finish(template, state=state)), parameters(finish(template)))


def test_a_finished_state_gives_its_student_back() -> None:
    last = finish(job())
    again = list(train(job(), world(), state=last.state()))
    assert len(again) == 1 and again[0].last and torch.equal(parameters(again[0]), parameters(last))


def test_states_of_other_jobs_and_broken_bytes_are_refused() -> None:
    state = finish(job()).state()
    for other in (
        job(seed=9),
        job(batch=6),
        replace(job(), student=registry.load("student", "mlp").Options(hidden=(7,))),
    ):
        with pytest.raises(FormatError, match="another"):
            finish(other, state=state)
    data = state.to_bytes()
    for broken in (b"", data[:40], data[:-3], b"\xff" * 50):
        with pytest.raises(CorruptionError):
            LoopState.from_bytes(broken)


def test_a_state_must_be_taken_in_time() -> None:
    events = train(job(), world())
    first = next(events)
    next(events)
    with pytest.raises(RuntimeError, match="gone on"):
        first.state()


def test_excluded_rows_are_in_no_stream() -> None:
    held = (0, 3, 7, 25)
    loop = Loop(job(exclude=held), world(), Alone(), None, "cpu")
    assert loop.rows == 26 and not set(held) & {int(p) for s in loop._streams.values() for p in s.rows}
    # What those rows hold can't matter, neither their inputs nor their labels.
    spoiled = world()
    spoiled.inputs[list(held)] = 1e3
    spoiled.labels_N[[0, 3, 7]] = 2
    assert torch.equal(parameters(finish(job(exclude=held))), parameters(finish(job(exclude=held), spoiled)))
    assert not torch.equal(parameters(finish(job())), parameters(finish(job(), spoiled)))


def test_labels_alone_keep_the_epoch_and_ask_no_teacher() -> None:
    template = job(config=objective(share=0))
    lonely = replace(world(), source=None)
    last = finish(template, lonely)
    assert last.rows == 30 and set(last.losses) == {"labels", "total"}
    assert Loop(template, lonely, Alone(), None, "cpu").steps == 4


def test_controls_hear_other_teachers() -> None:
    runs = {kind: parameters(finish(job(signals=kind))) for kind in ("teachers", "shuffled", "constant")}
    assert not torch.allclose(runs["teachers"], runs["shuffled"])
    assert not torch.allclose(runs["teachers"], runs["constant"])


def test_a_row_set_without_a_batch_size_is_refused() -> None:
    data = world()
    data = replace(data, splits={**data.splits, "other": data.splits["transfer"]})
    with pytest.raises(ConfigError, match=r"train\.batch"):
        finish(job(config=objective(rows="other")), data)


def test_predict_in_eval_mode_and_back(dropout) -> None:  # type: ignore[no-untyped-def]
    last = finish(replace(job(), student=dropout))
    last.student.train()
    one, two = (predict(last.student, world(), np.array([5, 2])) for _ in range(2))
    assert np.array_equal(one, two) and one.shape == (2, 4) and one.dtype == np.float32
    assert last.student.training
