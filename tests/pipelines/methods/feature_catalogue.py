"""What each feature method claims, for the test of the four truths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

VECTOR = ((5,),)
MAP = ((3, 4, 4),)
TWO_MAPS = ((3, 4, 4), (4, 2, 2))


@dataclass(frozen=True)
class FeatureClaim:
    """A method with options and the shapes of one row's layers, and what is true of it.

    at_equal: the mean loss at student = teacher (equal shapes, no adapter) is zero, at its minimum, or neither.
    invariant: changes of the student's features alone that leave the loss as it is:
        rotation (of vectors), turn (a circular shift of maps),
        scale (one factor), row_scale (a factor per row), shift (one vector added to all rows).
    any_order: False where even the order of the batch matters (documented by the method).
    detached: some part of the adapter or the student gets no gradient at all, by design.
    head_slope: False where an adapter sits on both sides of a stop-gradient, so its slope is no finite difference.
    awkward_size: the largest value whose loss still fits float32 and whose slope fits it, too.
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    student: tuple[tuple[int, ...], ...] = VECTOR
    teacher: tuple[tuple[int, ...], ...] = VECTOR
    at_equal: Literal["zero", "minimum", "neither"] = "zero"
    invariant: tuple[str, ...] = ()
    spans_batch: bool = False
    labels: bool = False
    logits: bool = False
    any_order: bool = True
    detached: bool = False
    head_slope: bool = True
    slack: float = 1e-6
    awkward_size: float = 1e4

    def __str__(self) -> str:
        extra = [f"{key}={value}" for key, value in self.options.items()]
        return "-".join([self.method, *extra, "x".join(map(str, self.student[0]))])

    def options_for(self, rows: int) -> dict[str, Any]:
        """Returns the options; the word ROWS stands for the size of the batch."""
        return {key: rows if value == "ROWS" else value for key, value in self.options.items()}


UNORDERED: dict[str, Any] = {"spans_batch": True, "any_order": False}
HEADED: dict[str, Any] = {"spans_batch": True, "head_slope": False}
TOKENS, SCORES = ((4, 3),), ((2, 4, 4),)
SMALL_MAP, OTHER_MAP = ((3, 2, 2),), ((5, 4, 4),)

FEATURE_CLAIMS = [
    FeatureClaim("hint", {"regressor": "none"}),
    FeatureClaim("hint", {"regressor": "none"}, MAP, SMALL_MAP),
    FeatureClaim("hint", {}, MAP, OTHER_MAP, "neither", spans_batch=True),
    FeatureClaim("hint", {"regressor": "pointwise"}, MAP, ((5, 2, 2),), "neither", spans_batch=True),
    FeatureClaim("hint", {"regressor": "linear"}, VECTOR, ((7,),), "neither", spans_batch=True),
    FeatureClaim("attention_transfer", {}, MAP, MAP, invariant=("scale", "row_scale")),
    FeatureClaim("attention_transfer", {"p": 3}, TWO_MAPS, TWO_MAPS, invariant=("scale",), awkward_size=1e3),
    FeatureClaim("factor_attention", {"p2": 2}, MAP, MAP, invariant=("scale",)),
    FeatureClaim("factor_attention", {}, MAP, OTHER_MAP, "neither", invariant=("scale",)),
    FeatureClaim("similarity", {}, VECTOR, VECTOR, invariant=("rotation", "scale"), spans_batch=True),
    FeatureClaim("similarity", {}, MAP, ((7,),), "neither", spans_batch=True),
    FeatureClaim("pkt", {}, VECTOR, VECTOR, invariant=("rotation", "scale", "row_scale"), spans_batch=True),
    FeatureClaim("nst", {}, MAP, MAP, invariant=("scale", "row_scale")),
    FeatureClaim(
        "relational", {}, VECTOR, VECTOR, invariant=("rotation", "scale", "shift"), spans_batch=True, slack=1e-4
    ),
    FeatureClaim("relational", {"squared": True, "w_angle": 0.0}, VECTOR, VECTOR, spans_batch=True, awkward_size=1e3),
    FeatureClaim("vid", {}, MAP, OTHER_MAP, "neither"),
    FeatureClaim("vid", {}, VECTOR, ((4,),), "neither"),
    FeatureClaim("fsp", {}, TWO_MAPS, TWO_MAPS, awkward_size=1e3),
    FeatureClaim("correlation_congruence", {}, VECTOR, VECTOR, invariant=("rotation", "row_scale"), spans_batch=True),
    FeatureClaim("activation_boundary", {}, TWO_MAPS, TWO_MAPS, "neither"),
    FeatureClaim("activation_boundary", {"margin": 0.5}, VECTOR, ((3,),), "neither", spans_batch=True),
    FeatureClaim("margin_feature", {}, TWO_MAPS, ((5, 4, 4), (2, 2, 2)), "neither", spans_batch=True),
    FeatureClaim("margin_feature", {}, MAP, ((5, 2, 2),), "neither", spans_batch=True),
    FeatureClaim("review", {"width": 4}, TWO_MAPS, ((5, 4, 4), (2, 2, 2)), "neither", spans_batch=True),
    FeatureClaim("review", {"width": 4}, (*MAP, (4, 2, 2), (5,)), ((5, 8, 8), *MAP, (3,)), "neither", spans_batch=True),
    FeatureClaim("reused_classifier", {}, MAP, ((6, 2, 2),), "neither", spans_batch=True),
    FeatureClaim("reused_classifier", {"factor": 1}, VECTOR, ((4,),), "neither", spans_batch=True),
    FeatureClaim(
        "semantic_calibration",
        {"batch": "ROWS", "width": 3},
        TWO_MAPS,
        (*OTHER_MAP, *SMALL_MAP, (2, 1, 1)),
        "neither",
        spans_batch=True,
        any_order=False,
        awkward_size=100.0,
    ),
    FeatureClaim("lsh", {"hashes": 12}, VECTOR, VECTOR, "neither", spans_batch=True, labels=True, logits=True),
    FeatureClaim("lsh", {"hashes": 9, "l2": False, "only_right": False}, VECTOR, ((4,),), "neither"),
    FeatureClaim("view_consistency", {}, VECTOR, VECTOR, spans_batch=True),
    FeatureClaim("view_consistency", {}, ((4, 3),), ((4, 3),), spans_batch=True),
    FeatureClaim("alp", {}, VECTOR, VECTOR, invariant=("scale", "row_scale"), slack=1e-4),
    FeatureClaim("alp", {"stable": False}, 2 * VECTOR, 3 * VECTOR, "neither", awkward_size=100.0),
    FeatureClaim("alp", {"stable": False}, VECTOR, ((3,), (4,)), "neither", awkward_size=100.0),
    FeatureClaim("frequency", {"size": 2, "match": "none"}, MAP, MAP, invariant=("turn",)),
    FeatureClaim("frequency", {"size": 3}, MAP, OTHER_MAP, "neither"),
    FeatureClaim("frequency", {"size": 3}, VECTOR, ((7,),), "neither"),
    FeatureClaim("multi_head", {}, TWO_MAPS, 2 * ((3,),), "neither", spans_batch=True, labels=True),
    FeatureClaim("multi_head", {"alpha": 1.0}, VECTOR, ((3,),), "neither", spans_batch=True, labels=True),
    FeatureClaim("multi_level", {"views": 2, "width": 3}, VECTOR, ((2,),), "neither", **UNORDERED),
    FeatureClaim("cospress", {"temperatures": (0.1, 0.5)}, TOKENS, ((4, 5),), "neither", **HEADED),
    FeatureClaim("cospress", {"style": "half", "norm": True}, VECTOR, ((7,),), "neither", **HEADED),
    FeatureClaim("rid", {}, MAP, OTHER_MAP, "neither", spans_batch=True, detached=True),
    FeatureClaim("rid", {"spread": "square"}, VECTOR, ((4,),), "neither", spans_batch=True, detached=True),
    FeatureClaim("rid", {"phase": "teacher"}, MAP, OTHER_MAP, "neither", spans_batch=True, detached=True),
    FeatureClaim("rid", {"phase": "first_round"}, VECTOR, ((4,),), "neither", spans_batch=True, detached=True),
    FeatureClaim("crd", {"negatives": 5, "width": 3}, VECTOR, ((4,),), "neither", **UNORDERED),
    FeatureClaim("hidden_states", {}, TOKENS, TOKENS),
    FeatureClaim("hidden_states", {}, TOKENS, ((4, 5),), "neither"),
    FeatureClaim("hidden_states", {"compare": "cosine"}, TOKENS, TOKENS, invariant=("scale", "row_scale")),
    FeatureClaim("hidden_states", {"compare": "first_token"}, TOKENS, TOKENS, invariant=("scale", "row_scale")),
    FeatureClaim("hidden_states", {"compare": "fsp"}, 2 * TOKENS, 2 * TOKENS, awkward_size=20.0),
    FeatureClaim("hidden_states", {"compare": "gram"}, TOKENS, TOKENS, awkward_size=20.0),
    FeatureClaim("hidden_states", {"compare": "attention_mse"}, SCORES, SCORES),
    FeatureClaim("hidden_states", {"compare": "attention_ce"}, SCORES, SCORES, "minimum"),
]
