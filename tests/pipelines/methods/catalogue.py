"""What each method on class logits claims, for the test of the four truths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Claim:
    """A method with options, and what is true of it.

    at_equal: the loss at student = teacher is zero, or at its minimum, or neither.
    invariant: changes of the student's logits alone (shift, scale, affine) that leave the loss as it is.
    slack: how far from zero the value and slope at equality may be (a stated eps in a denominator).
    frozen: a function of the plug-in whose result is a constant for the gradient (detached).
    """

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    labels: bool = False
    at_equal: Literal["zero", "minimum", "neither"] = "zero"
    invariant: tuple[str, ...] = ()
    spans_batch: bool = False
    frozen: str | None = None
    slack: float = 1e-5

    def __str__(self) -> str:
        return "-".join([self.method, *(f"{key}={value}" for key, value in self.options.items())])


LOGIT_CLAIMS = [
    Claim("soft_cross_entropy", at_equal="minimum", invariant=("shift",)),
    Claim("mutual", invariant=("shift",)),
    Claim("logit_mse"),
    Claim("logit_cosine", invariant=("scale",)),
    Claim("dkd", labels=True, invariant=("shift",)),
    Claim("dkd", {"alpha": 0.5, "beta": 0.0}, labels=True, invariant=("shift",)),
    Claim("nkd", {"temperature": 2.0}, labels=True, at_equal="neither", invariant=("shift",)),
    Claim("wsld", labels=True, at_equal="minimum", invariant=("shift",), frozen="caught_up"),
    Claim("dist", invariant=("shift",), spans_batch=True, slack=1e-2),
    Claim("class_batch_correlation", invariant=("shift",), spans_batch=True),
    Claim("bss", invariant=("shift",)),
    Claim("cross_head"),
    Claim("cross_head", {"beta": 2.0}),
    Claim("corr_match", invariant=("shift", "scale", "affine")),
    Claim("corr_match", {"difficulty": "easy_by_rank", "strength": 3.0}, invariant=("affine",)),
    Claim("corr_match", {"difficulty": "none", "softness": 0.5}, invariant=("affine",)),
]
