"""A loaded teacher's size: arrays wherever they hide, each once."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import torch

from teachers.footprint import footprint


class Holder:
    def __init__(self, **parts: object) -> None:
        self.__dict__.update(parts)


def test_arrays_are_counted_once_wherever_they_are() -> None:
    shared = np.zeros(100, dtype=np.float64)
    model = Holder(a=shared, b=[shared, {"c": np.zeros(10, dtype=np.float32)}], text="no array")
    assert footprint(model) == 800 + 40
    assert footprint(lambda inputs: inputs) is None


def test_a_torch_module_weighs_its_parameters_and_buffers() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
    expected = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    assert footprint(Holder(model=model)) == expected


def test_of_a_users_file_only_its_own_arrays_count() -> None:
    """It imports numpy, and numpy everything else, down to shared libraries that answer to any name."""
    guest = ModuleType("raydistill_guest_function_x")
    guest.np = np  # type: ignore[attr-defined]
    assert footprint(Holder(module=guest)) is None
    guest.weights = np.zeros(100, dtype=np.float32)  # type: ignore[attr-defined]
    assert footprint(Holder(module=guest)) == 400


def test_trees_and_neighbours_show_what_compiled_code_holds() -> None:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    x_ND, y_N = np.random.RandomState(0).normal(size=(200, 5)), np.arange(200) % 3
    tree = DecisionTreeClassifier(random_state=0).fit(x_ND, y_N)
    assert (footprint(tree) or 0) >= tree.tree_.node_count * 64
    assert (footprint(KNeighborsClassifier().fit(x_ND, y_N)) or 0) >= x_ND.nbytes
