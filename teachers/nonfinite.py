"""What becomes of answers that are no label: NaN, infinities, values the codec can't hold. Pure, by policy.

error        the first one ends the unit
quarantine   the row is set aside, the others are kept
clip         +Inf and values too far below the row's maximum are pulled to the nearest value the codec holds;
             NaN and -Inf are still errors: a NaN has no nearest number, and -Inf would say "class unknown"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from foundation.errors import TeacherError
from teachers.cache.codec import Codec

Policy = Literal["error", "quarantine", "clip"]
_LIMIT = 65_504.0 - 32.0  # the largest fp16, less one step, so that rounding in fp32 doesn't push it over


@dataclass(frozen=True)
class Settled:
    """`logits_BC` of all rows; `reasons` by row for the rows to set aside; `clipped` values that were pulled in."""

    logits_BC: np.ndarray
    reasons: dict[int, str]
    clipped: int


def settle(logits_BC: np.ndarray, codec: Codec, policy: Policy, *, teacher: str, keys: tuple[str, ...]) -> Settled:
    """Applies the policy to a unit's answers, float32 [B, C]. Raises `TeacherError` where the policy says so."""
    good_BC = _holds(codec, logits_BC)
    if good_BC.all():
        return Settled(logits_BC, {}, 0)
    reasons = {int(row): _reason(logits_BC[row]) for row in np.flatnonzero(~good_BC.all(axis=1))}
    if policy == "quarantine":
        return Settled(logits_BC, reasons, 0)
    refused = {row: why for row, why in reasons.items() if policy == "error" or why in ("nan", "-inf")}
    if not refused:
        clipped_BC = _clip(logits_BC, good_BC)
        if _holds(codec, clipped_BC).all():
            return Settled(clipped_BC, {}, int((~good_BC).sum()))
        refused = reasons
    row, why = next(iter(refused.items()))
    steps = {
        "-inf": "leave classes the teacher doesn't know out of its `classes`; exact zeros need gives: probabilities",
        "nan": "mend the teacher, or set cache.nonfinite: quarantine",
    }
    raise TeacherError(
        "A teacher's answer can't be stored.",
        expected=f"finite logits that {codec.options.model_dump()} holds",
        found=f"{why} in {len(refused)} of {len(logits_BC)} rows; row {keys[row]}: {_shown(logits_BC[row])}",
        where=f"teachers.{teacher}",
        next_step=steps.get(why, "set cache.nonfinite: clip or quarantine, or cache.codec.dtype: fp32"),
    )


def _holds(codec: Codec, logits_BC: np.ndarray) -> np.ndarray:
    """`codec.representable`, which needs a finite value in each row, for any rows."""
    finite_B = np.isfinite(logits_BC).any(axis=1)
    good_BC = np.zeros(logits_BC.shape, dtype=bool)
    if finite_B.any():
        good_BC[finite_B] = codec.representable(logits_BC[finite_B])
    return good_BC


def _reason(logits_C: np.ndarray) -> str:
    if np.isnan(logits_C).any():
        return "nan"
    if np.isneginf(logits_C).any():
        return "-inf"
    return "inf" if np.isposinf(logits_C).any() else "out of range"


def _clip(logits_BC: np.ndarray, good_BC: np.ndarray) -> np.ndarray:
    finite_BC = np.isfinite(logits_BC)
    top_B1 = np.where(finite_BC, logits_BC, -np.inf).max(axis=1, keepdims=True)
    raised_BC = np.where(np.isposinf(logits_BC), np.maximum(top_B1, np.float32(_LIMIT)), logits_BC)
    floor_B1 = raised_BC.max(axis=1, keepdims=True).astype(np.float64) - _LIMIT
    has_inf_B1 = np.isposinf(logits_BC).any(axis=1, keepdims=True)
    too_low_BC = (~good_BC | has_inf_B1) & (raised_BC < floor_B1)
    return np.where(too_low_BC, floor_B1, raised_BC).astype(np.float32)


def _shown(logits_C: np.ndarray) -> str:
    return np.array2string(logits_C[:8], precision=4, threshold=8)
