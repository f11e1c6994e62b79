"""The three backends: what they answer, what their cards say, and what they refuse."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from foundation.errors import ConfigError, DataError, PluginError, TeacherError
from teachers.backends import sklearn as sklearn_backend
from teachers.backends.torch_module import Options as TorchOptions
from teachers.backends.torch_module import weights_digest
from teachers.build import LogitTeacher, card_of, context_for, load_teacher
from teachers.card import TeacherCard
from teachers.config import TeacherConfig
from tests.teachers.helpers import Fitting, SomeRows, function_teacher, install, some_rows

CLASSES = ("plus", "minus")  # not the order in which scikit-learn sorts them


def sklearn_config(**backend: Any) -> TeacherConfig:
    recipe = {"kind": "sklearn", "estimator": "LogisticRegression", **backend}
    return TeacherConfig.model_validate({"backend": recipe, "fit": {"rows": "private", "label": "y"}})


def built(config: TeacherConfig, rows: SomeRows, classes: tuple[str, ...] = CLASSES) -> LogitTeacher:
    return load_teacher("t", config, context_for("t", config, classes, Path("."), Fitting(rows)))


def test_sklearn_columns_are_in_the_cards_order() -> None:
    rows = some_rows(60)
    logits_BC = built(sklearn_config(), rows).logits(rows.take(np.arange(60)))
    assert logits_BC.shape == (60, 2) and logits_BC.dtype == np.float32
    assert ((logits_BC[:, 0] > logits_BC[:, 1]) == (rows.x[:, 0] > 0)).mean() > 0.95


def test_probabilities_become_logits_with_a_floor() -> None:
    rows = some_rows(60)
    teacher = built(sklearn_config(estimator="KNeighborsClassifier", options={"n_neighbors": 1}, floor=0.01), rows)
    logits_BC = teacher.logits(rows.take(np.arange(60)))
    eps = 0.01
    low, high = np.log(eps / (1 + 2 * eps)), np.log((1 + eps) / (1 + 2 * eps))  # an exact 0 and an exact 1
    np.testing.assert_allclose(np.sort(logits_BC, axis=1), np.tile([low, high], (60, 1)), rtol=1e-6)
    np.testing.assert_allclose(np.exp(logits_BC).sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    "backend",
    [
        {"estimator": "SVC", "options": {"gamma": 0.1}, "calibrate": True},
        {"estimator": "ExtraTreesClassifier", "options": {"n_estimators": 10}},
        {"estimator": "ExtraTreesClassifier", "options": {"n_estimators": 10}, "random_state": 7},
        {"estimator": "SGDClassifier", "gives": "logits"},
        {"estimator": "LogisticRegression", "preprocess": {"scale": 0.5, "shift": [1.0, 2.0, 3.0]}},
    ],
)
def test_two_hosts_fit_the_same_teacher(backend: dict[str, Any]) -> None:
    rows = some_rows(60)
    first, second = (built(sklearn_config(**backend), rows) for _ in range(2))
    assert first.card == second.card
    inputs = rows.take(np.arange(60))
    assert (first.logits(inputs) == second.logits(inputs)).all()
    assert ((first.logits(inputs)[:, 0] > first.logits(inputs)[:, 1]) == (rows.x[:, 0] > 0)).mean() > 0.8


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ({"estimator": "SVCC"}, "did you mean 'SVC'"),
        ({"estimator": "ExtraTrees"}, "did you mean 'ExtraTree"),
        ({"estimator": "os.system"}, "no classifier 'os.system'"),
        ({"estimator": "LinearRegression"}, "did you mean 'LogisticRegression'"),
        ({"estimator": "SVC", "options": {"gama": 1}}, "did you mean 'gamma'"),
        ({"estimator": "SVC", "options": {"C": -1.0}}, "'C' parameter"),
        ({"estimator": "SVC", "options": {"random_state": 3}}, "backend.random_state"),
        ({"estimator": "KNeighborsClassifier", "options": {"n_jobs": 8}}, "pool.num_cpus"),
        ({"estimator": "SVC"}, "calibrate: true"),
        ({"estimator": "KNeighborsClassifier", "gives": "logits"}, "gives: probabilities"),
        ({"estimator": "VotingClassifier"}, "built from other estimators"),
        ({"gives": "log_probabilities"}, "gives probabilities or logits"),
        ({"preprocess": {"reshape": [3]}}, "one flat row"),
        ({"n_estimators": 3}, "Extra inputs"),
    ],
)
def test_sklearn_recipes_that_are_refused(backend: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        sklearn_backend.Options.model_validate({"estimator": "LogisticRegression", **backend})
    with pytest.raises(ValidationError):
        sklearn_config(**backend)


def test_the_short_list_of_estimators_is_the_librarys() -> None:
    known = sklearn_backend._classifiers()
    assert all(sklearn_backend.find(name) is known[name] for name in sklearn_backend._HOMES)


def test_fit_belongs_to_backends_that_fit() -> None:
    install("function", "f", 'VERSION = "1"\nanswer = len')
    with pytest.raises(ValidationError, match="add fit"):
        TeacherConfig.model_validate({"backend": {"kind": "sklearn", "estimator": "GaussianNB"}})
    with pytest.raises(ValidationError, match="remove fit"):
        TeacherConfig.model_validate(
            {"backend": {"kind": "function", "function": "f"}, "fit": {"rows": "a", "label": "b"}}
        )


def test_a_class_the_data_do_not_have() -> None:
    install("function", "f", 'VERSION = "1"\nanswer = len')
    config = TeacherConfig.model_validate({"backend": {"kind": "function", "function": "f"}, "classes": ["cat", "dgo"]})
    with pytest.raises(ConfigError, match="did you mean 'dog'"):
        context_for("t", config, ("cat", "dog"), Path("."))


def base_card() -> TeacherCard:
    config = sklearn_config()
    return card_of("t", config, context_for("t", config, CLASSES, Path("."), Fitting(some_rows())))


@pytest.mark.parametrize(
    "backend",
    [{"options": {"C": 2.0}}, {"random_state": 1}, {"floor": 0.01}, {"calibrate": True}, {"preprocess": {"scale": 2}}],
)
def test_whatever_changes_answers_changes_the_card(backend: dict[str, Any]) -> None:
    """F29 for a fitted teacher; the version of the library and the fitting rows are in `weights`."""
    config = sklearn_config(**backend)
    card = card_of("t", config, context_for("t", config, CLASSES, Path("."), Fitting(some_rows())))
    assert card.fingerprint != base_card().fingerprint


def test_names_and_pools_do_not_change_the_card() -> None:
    config = sklearn_config().model_copy(update={"pool": {"batch_size": 3}})
    card = card_of("u", config, context_for("u", config, CLASSES, Path("."), Fitting(some_rows())))
    assert card.fingerprint == base_card().fingerprint and set(card.weights) == {"fitted_on", "scikit_learn"}


# --- torch ------------------------------------------------------------------------------------------------------------

MODULE = """
    import torch
    def build(width=3):
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.BatchNorm1d(width), torch.nn.Linear(width, 2))
"""


def state(seed: int = 0, width: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.BatchNorm1d(width), torch.nn.Linear(width, 2))
    model[1].running_mean += 0.5  # a buffer that matters
    return model.state_dict()


def torch_config(**backend: Any) -> TeacherConfig:
    recipe = {"kind": "torch_module", "module": "net", "weights": "w.safetensors", **backend}
    return TeacherConfig.model_validate({"backend": recipe})


def torch_built(folder: Path, config: TeacherConfig) -> LogitTeacher:
    return load_teacher("net", config, context_for("net", config, CLASSES, folder))


def test_torch_answers_in_evaluation_mode(tmp_path: Path) -> None:
    install("module", "net", MODULE)
    save_file(state(), tmp_path / "w.safetensors")
    rows = some_rows(6)
    teacher = torch_built(tmp_path, torch_config(preprocess={"scale": 2.0, "shift": -1.0}))
    logits_BC = teacher.logits(rows.take(np.arange(6)))
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    model.load_state_dict(state())
    expected = model.eval()(torch.from_numpy(rows.x * 2 - 1)).detach().numpy()
    np.testing.assert_allclose(logits_BC, expected, atol=1e-6)
    assert torch_built(tmp_path, torch_config()).logits(rows.take(np.arange(6))).tolist() != logits_BC.tolist()


def test_weights_have_one_digest_in_either_format(tmp_path: Path) -> None:
    install("module", "net", MODULE)
    save_file(state(), tmp_path / "w.safetensors")
    torch.save(state(), tmp_path / "w.pt")
    pin = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    pickled = torch_config(weights="w.pt", allow_pickle=True, sha256=pin)
    first, second = torch_built(tmp_path, torch_config()), torch_built(tmp_path, pickled)
    assert first.card == second.card
    rows = some_rows(4)
    assert (first.logits(rows.take(np.arange(4))) == second.logits(rows.take(np.arange(4)))).all()


def test_every_part_of_the_weights_counts() -> None:
    base = weights_digest(state())
    assert base == weights_digest(dict(reversed(state().items())))
    for name in state():
        changed = state()
        changed[name] = changed[name] + 1
        assert weights_digest(changed) != base, name
    renamed = {name.replace("2.", "3."): tensor for name, tensor in state().items()}
    reshaped = {name: tensor.reshape(1, *tensor.shape) for name, tensor in state().items()}
    retyped = {
        name: tensor.view(torch.int32) if tensor.is_floating_point() else tensor for name, tensor in state().items()
    }
    assert len({base, weights_digest(renamed), weights_digest(reshaped), weights_digest(retyped)}) == 4


def test_the_source_of_the_module_is_in_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    install("module", "net", MODULE)
    install("module", "net2", MODULE + "    # a word\n")
    cards = [torch_built(tmp_path, torch_config(module=name)).card for name in ("net", "net2")]
    assert cards[0].architecture["source"] != cards[1].architecture["source"]


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ({"weights": "w.pt"}, "allow_pickle: true"),
        ({"weights": "w.pt", "allow_pickle": True}, "sha256"),
        ({"weights": "w.pt", "allow_pickle": True, "sha256": "abc"}, "64"),
    ],
)
def test_pickled_weights_need_consent_and_pin(backend: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TorchOptions.model_validate({"module": "net", **backend})
    with pytest.raises(ValidationError):
        torch_config(**backend)


def test_pickled_code_never_runs(tmp_path: Path) -> None:
    install("module", "net", MODULE)

    class Bomb:
        def __reduce__(self) -> Any:
            return (tmp_path.joinpath("exploded").mkdir, ())

    torch.save({"0.weight": Bomb()}, tmp_path / "w.pt")
    pin = hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    wrong = torch_config(weights="w.pt", allow_pickle=True, sha256="0" * 64)
    with pytest.raises(TeacherError, match="not the pinned ones"):
        torch_built(tmp_path, wrong)
    with pytest.raises(TeacherError, match="can't be loaded"):
        torch_built(tmp_path, torch_config(weights="w.pt", allow_pickle=True, sha256=pin))
    assert not (tmp_path / "exploded").exists()


def test_weights_that_are_missing_broken_or_of_another_shape(tmp_path: Path) -> None:
    install("module", "net", MODULE)
    with pytest.raises(DataError, match="missing"):
        torch_built(tmp_path, torch_config())
    (tmp_path / "w.safetensors").write_bytes(b"rubbish" * 9)
    with pytest.raises(DataError, match="can't be read"):
        torch_built(tmp_path, torch_config())
    save_file(state(width=5), tmp_path / "w.safetensors")
    with pytest.raises(TeacherError, match="don't fit"):
        torch_built(tmp_path, torch_config())
    assert torch_built(tmp_path, torch_config(options={"width": 5})).card.architecture["options"] == {"width": 5}


def test_class_names_travel_with_the_weights(tmp_path: Path) -> None:
    install("module", "net", MODULE)
    save_file(state(), tmp_path / "w.safetensors", metadata={"classes": json.dumps(["minus", "plus"])})
    assert torch_built(tmp_path, torch_config()).own_classes == ("minus", "plus")


# --- function ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["answer = len", 'VERSION = ""\nanswer = len', "VERSION = 1\nanswer = len"])
def test_a_function_without_a_version_is_refused(body: str) -> None:
    with pytest.raises(PluginError, match="no version"):
        function_teacher("unversioned", body)


def test_a_function_has_to_be_the_wanted_version() -> None:
    body = 'VERSION = "2"\ndef answer(inputs):\n    return inputs["x"]'
    with pytest.raises(PluginError, match="another version"):
        function_teacher("old", body, version="1")
    assert function_teacher("old2", body, version="2").card.version == "2"


def test_version_and_source_are_in_a_functions_card() -> None:
    body = 'VERSION = "1"\ndef answer(inputs):\n    return inputs["x"]'
    first = function_teacher("one", body).card
    second = function_teacher("two", body.replace('"1"', '"2"')).card
    assert first.version == "1" and second.version == "2" and first.weights != second.weights
