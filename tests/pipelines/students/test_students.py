"""Students: width and classes from the data, weights from the seed, guests by name, clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from foundation import registry
from foundation.errors import ConfigError, PluginError
from pipelines.student import StudentSpec, count_parameters, make_student
from pipelines.students import mlp, torch_module

SPEC = StudentSpec((64,), tuple("0123456789"))


def test_the_demo_student_has_1810_parameters() -> None:
    assert count_parameters(make_student(mlp.Options(hidden=(24,)), SPEC, 0)) == 1810


def test_images_are_flattened_and_no_hidden_layer_is_linear() -> None:
    student = make_student(mlp.Options(hidden=(), activation="gelu"), StudentSpec((2, 3, 4), ("a", "b")), 0)
    assert student(torch.zeros(5, 2, 3, 4)).shape == (5, 2) and count_parameters(student) == 24 * 2 + 2


def test_weights_are_a_function_of_the_seed_alone() -> None:
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    one = make_student(mlp.Options(), SPEC, 7)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(5)
    two = make_student(mlp.Options(), SPEC, 7)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    three = make_student(mlp.Options(), SPEC, 8)
    assert not torch.equal(next(one.parameters()), next(three.parameters()))


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_guests", dict(registry._guests))
    monkeypatch.setattr(registry, "_modules", dict(registry._modules))
    file = tmp_path / "small_net.py"
    file.write_text(
        'KIND = "module"\nfrom torch import nn\n\ndef build(width, classes=10):\n'
        "    return nn.Linear(width, classes) if width else 3\n"
    )
    registry.add_guest_file(file)


def test_a_guest_builds_the_student(guest: None) -> None:
    options = torch_module.Options(module="small_net", options={"width": 64})
    assert make_student(options, SPEC, 0)(torch.zeros(2, 64)).shape == (2, 10)


def test_guests_that_do_not_fit_are_refused(guest: None) -> None:
    def build(**options: int) -> None:
        make_student(torch_module.Options(module="small_net", options=options), SPEC, 0)

    with pytest.raises(PluginError, match="build"):
        build(depth=3)
    with pytest.raises(PluginError, match=r"must return a torch\.nn\.Module"):
        build(width=0)
    with pytest.raises(ConfigError, match="one score per class"):
        build(width=64, classes=3)
    with pytest.raises(ConfigError, match="can't take"):
        build(width=63)
