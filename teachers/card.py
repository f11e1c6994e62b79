"""Who a teacher is. Two teachers with equal fingerprints give interchangeable labels; anything that can change an
answer is therefore part of the card, and nothing else is (no name, no temperature, no batch size)."""

from __future__ import annotations

from typing import Any, Literal

from foundation.fingerprint import fingerprint
from foundation.model import StrictModel

Gives = Literal["logits", "log_probabilities", "probabilities"]


class TeacherCard(StrictModel):
    """The parts of a teacher's identity, each a JSON value; `cache explain` compares them one by one.

    Attributes:
        architecture: backend kind and what is built, with its options.
        weights: digest of the weight bytes; or recipe, digest of the fitting data and library version.
        preprocessing: what happens to the input columns first, as data.
        classes: class names in column order.
        gives: what the raw output means.
        floor: eps of log((p + eps) / (1 + eps * C)) where the teacher gives probabilities, else None.
        numerics: dtype and anything else that moves an answer's last bits.
        version: version of the backend's code, or of the user's callable.
    """

    architecture: dict[str, Any]
    weights: dict[str, Any]
    preprocessing: dict[str, Any]
    classes: tuple[str, ...]
    gives: Gives
    floor: float | None
    numerics: dict[str, Any]
    version: str

    @property
    def fingerprint(self) -> str:
        """64 hex digits over all parts."""
        return fingerprint(self.model_dump(mode="json"))
