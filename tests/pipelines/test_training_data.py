"""From a `Dataset` to tensors: one column keeps its shape, several are joined by name, text is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from foundation.errors import ConfigError, DataError
from pipelines.training_data import TrainingData, input_tensor


def dataset(**changes: Any) -> Any:
    parts: dict[str, Any] = {
        "inputs": {"x": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)},
        "labels_N": np.array([0, -1, 1]),
        "classes": ("a", "b"),
        "side": {"office": np.array(["p", "q", "p"], dtype=object)},
        "positions": lambda name: {"all": np.arange(3), "two": np.array([2, 0])}[name],
    }
    return SimpleNamespace(**(parts | changes))


def test_tensors_by_position() -> None:
    data = TrainingData.of(dataset(), ["two"], groups=["office"])
    assert data.inputs.shape == (3, 2, 2) and data.inputs.dtype == torch.float32
    assert data.spec.input_shape == (2, 2) and data.spec.classes == ("a", "b")
    assert data.splits["two"].tolist() == [2, 0] and data.labels_N.tolist() == [0, -1, 1]
    assert data.groups["office"].tolist() == [0, 1, 0]
    with pytest.raises(ConfigError, match=r"data\.side"):
        TrainingData.of(dataset(), [], groups=["city"])


def test_several_columns_are_joined_in_the_order_of_their_names() -> None:
    joined = input_tensor({"b": np.array([[1.0, 2.0]]), "a": np.array([5])})
    assert joined.tolist() == [[5.0, 1.0, 2.0]]
    assert input_tensor({"a": np.array([5, 6])}).shape == (2, 1)
    with pytest.raises(DataError, match="numbers only"):
        input_tensor({"t": np.array(["x"], dtype=object)})
