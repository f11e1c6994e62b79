"""Temperature: one for all or one per teacher; lenses multiply; signal lenses act before it, under each side's mask."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from foundation import registry
from foundation.errors import ConfigError, PluginError
from pipelines.lens import Lenses, Temperatures
from pipelines.lenses import temperature

NAMES = ("one", "two")


def test_one_value_or_one_per_teacher() -> None:
    assert temperature.temperatures(temperature.Options(value=3), NAMES) == (3.0, 3.0)
    assert temperature.temperatures(temperature.Options(value={"two": 4}), NAMES) == (1.0, 4.0)
    with pytest.raises(ConfigError, match="doesn't exist"):
        temperature.temperatures(temperature.Options(value={"tow": 4}), NAMES)
    for bad in (0, -1, {"one": 0}, float("inf")):
        with pytest.raises(ValidationError):
            temperature.Options(value=bad)


def test_several_temperatures_multiply() -> None:
    lenses = Lenses.of([temperature.Options(value=3), temperature.Options(value={"two": 4})], NAMES)
    assert lenses.temperature == (3.0, 12.0)
    value = Temperatures.of(lenses.temperature)
    assert value.scale_K11.shape == (2, 1, 1)
    assert value.square_K1[:, 0].tolist() == [9.0, 144.0]


def test_a_lens_without_a_lens_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_guests", dict(registry._guests))
    monkeypatch.setattr(registry, "_modules", dict(registry._modules))
    file = tmp_path / "blind.py"
    file.write_text(
        'KIND = "lens"\nfrom foundation.model import PluginOptions\n\n'
        'class Options(PluginOptions):\n    kind: str = "blind"\n'
    )
    registry.add_guest_file(file)
    options = registry.load("lens", "blind").Options()
    with pytest.raises(PluginError, match="must define"):
        Lenses.of([options], NAMES)


def test_signal_lenses_see_logits_and_mask_in_order() -> None:
    lenses = Lenses((lambda z, m: z * m, lambda z, m: z + 1), (1.0,))
    got = lenses.look(torch.tensor([[2.0, 3.0]]), torch.tensor([True, False]))
    assert got.tolist() == [[3.0, 1.0]]
