"""What a teacher can say. A method asks with a `SignalRequest`; a teacher answers with a signal per request.

Signals are numpy and untempered; temperature, weights and class selection are applied when they are read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SignalRequest:
    """One signal wanted of a teacher. `name` is the signal ('logits'), `layer` a dotted module path if it needs one."""

    name: str = "logits"
    layer: str | None = None


@dataclass(frozen=True)
class Logits:
    """Unnormalised class scores [B, C], float32, columns in the order of the card's class names."""

    values_BC: np.ndarray


Signal = Logits
