"""scikit-learn classifiers, fitted on each host from the recipe: nothing is unpickled.

The recipe (estimator, options, random state) and the digest of the fitting rows are the teacher's identity, with the
library's version, since another version may fit differently. `estimator` is looked up by class name among
scikit-learn's own classifiers; it is never an import path. Source: scikit-learn, `sklearn.utils.all_estimators`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from pydantic import Field, JsonValue, model_validator

from foundation.errors import TeacherError
from teachers.card import Gives, TeacherCard
from teachers.preprocess import Preprocess
from teachers.rows import Inputs
from teachers.signals import Logits, Signal, SignalRequest
from teachers.teacher import BackendOptions, TeacherContext

FITS = True
VERSION = "1"
# Importing every estimator of the library takes over a second on every host; these are found without that.
_HOMES = {
    "SVC": "svm",
    "ExtraTreesClassifier": "ensemble",
    "RandomForestClassifier": "ensemble",
    "HistGradientBoostingClassifier": "ensemble",
    "KNeighborsClassifier": "neighbors",
    "LogisticRegression": "linear_model",
    "MLPClassifier": "neural_network",
    "DecisionTreeClassifier": "tree",
    "GaussianNB": "naive_bayes",
}
_OURS = {"random_state": "set backend.random_state", "n_jobs": "set pool.num_cpus and pool.max"}


class Options(BackendOptions):
    """A scikit-learn classifier.

    `options` go to the estimator; `calibrate` wraps it in `CalibratedClassifierCV(estimator, ensemble=False)`, which
    gives probabilities to estimators without any; `gives: logits` asks `decision_function` instead.
    """

    kind: Literal["sklearn"] = "sklearn"
    estimator: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    calibrate: bool = False
    random_state: int = Field(default=0, ge=0)
    preprocess: Preprocess = Field(default_factory=Preprocess)
    gives: Gives = "probabilities"

    @model_validator(mode="after")
    def _is_a_recipe(self) -> Options:
        if self.gives == "log_probabilities":
            raise ValueError("gives: scikit-learn gives probabilities or logits (log of an exact 0 is no number)")
        if self.preprocess.reshape is not None:
            raise ValueError("preprocess.reshape: a scikit-learn estimator takes one flat row")
        estimator = make(self)
        asked = "predict_proba" if self.gives == "probabilities" else "decision_function"
        if not hasattr(estimator, asked):
            way = "calibrate: true" if asked == "predict_proba" else "gives: probabilities"
            raise ValueError(f"estimator {self.estimator} has no {asked}; use {way}")
        return self


def card(options: Options, context: TeacherContext) -> TeacherCard:
    """Returns the identity: recipe, digest of the fitting rows, version of scikit-learn."""
    import sklearn

    recipe = {
        "backend": "sklearn",
        "estimator": options.estimator,
        "options": dict(options.options),
        "calibrate": options.calibrate,
        "random_state": options.random_state,
    }
    return TeacherCard(
        architecture=recipe,
        weights={"fitted_on": _rows(context).digest, "scikit_learn": sklearn.__version__},
        preprocessing=options.preprocess.card(),
        classes=context.classes,
        gives=options.gives,
        floor=options.floor if options.gives == "probabilities" else None,
        numerics={"dtype": "float64"},
        version=VERSION,
    )


def load(options: Options, context: TeacherContext) -> SklearnTeacher:
    """Fits the estimator on the context's rows. Raises `TeacherError` when scikit-learn refuses them."""
    fitting = _rows(context)
    estimator = make(options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=FutureWarning)
            estimator.fit(options.preprocess.apply(fitting.inputs), fitting.labels)
    except (ValueError, TypeError) as error:
        raise TeacherError(
            "A teacher can't be fitted.", found=str(error)[:400], where=f"teachers.{context.name}"
        ) from error
    return SklearnTeacher(estimator, options, card(options, context))


class SklearnTeacher:
    """A fitted estimator; its columns are put into the order of the card's class names."""

    def __init__(self, estimator: Any, options: Options, own_card: TeacherCard) -> None:
        self.card = own_card
        self._estimator = estimator
        self._options = options
        fitted = [str(name) for name in estimator.classes_]
        if sorted(fitted) != sorted(own_card.classes):
            raise TeacherError("An estimator learned other classes.", expected=own_card.classes, found=fitted)
        self._columns = np.array([fitted.index(name) for name in own_card.classes])

    def answer(self, inputs: Inputs, requests: Sequence[SignalRequest]) -> Mapping[SignalRequest, Signal]:
        """Returns probabilities (or decision values) [B, C] under each request."""
        x_BD = self._options.preprocess.apply(inputs)
        if self._options.gives == "probabilities":
            values_BC = np.asarray(self._estimator.predict_proba(x_BD))
        else:
            values_BC = np.asarray(self._estimator.decision_function(x_BD))
            if values_BC.ndim == 1:  # two classes: one signed value d; softmax of (-d/2, d/2) is sigmoid(d)
                values_BC = np.stack([-values_BC / 2, values_BC / 2], axis=1)
        return {request: Logits(values_BC[:, self._columns]) for request in requests}

    def close(self) -> None:
        """Forgets the estimator."""
        self._estimator = None


def make(options: Options) -> Any:
    """Returns the unfitted estimator. Raises `ValueError` for unknown names and options, with the nearest known one."""
    cls = find(options.estimator)
    parameters = inspect.signature(cls).parameters
    for name in options.options:
        if name in _OURS:
            raise ValueError(f"options.{name} is set by the backend: {_OURS[name]}")
        if name not in parameters:
            raise ValueError(f"{options.estimator} has no option {name!r}{_near(name, list(parameters))}")
    needed = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty and n not in options.options]
    if needed:
        raise ValueError(f"{options.estimator} is built from other estimators ({', '.join(needed)}), not from options")
    settings: dict[str, Any] = dict(options.options)
    if "random_state" in parameters:
        settings["random_state"] = options.random_state
    if "n_jobs" in parameters and parameters["n_jobs"].default not in (None, 1):
        settings["n_jobs"] = 1
    estimator = cls(**settings)
    if hasattr(estimator, "_validate_params"):  # scikit-learn's own check of the values, else only made by `fit`
        estimator._validate_params()
    if not options.calibrate:
        return estimator
    from sklearn.calibration import CalibratedClassifierCV

    return CalibratedClassifierCV(estimator, ensemble=False, n_jobs=1)


def find(name: str) -> Any:
    """Returns the classifier class of this name. Raises `ValueError` that names the nearest one."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"sklearn.{_HOMES[name]}"), name)
    known = _classifiers()
    if name not in known:
        raise ValueError(f"scikit-learn has no classifier {name!r}{_near(name, list(known))}")
    return known[name]


@lru_cache(maxsize=1)
def _classifiers() -> dict[str, Any]:
    from sklearn.utils import all_estimators

    return dict(all_estimators(type_filter="classifier"))


def _near(name: str, known: list[str]) -> str:
    folded = {item.lower(): item for item in known}
    near = difflib.get_close_matches(name.lower(), list(folded), n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else f"; known: {', '.join(known[:40])}"


def _rows(context: TeacherContext) -> Any:
    if context.fitting is None:
        raise TeacherError("A scikit-learn teacher has no rows to fit on.", where=f"teachers.{context.name}.fit")
    return context.fitting
