"""Specialists count as much as a covering teacher believes the row is theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.method import LOGITS, Needs, masked_log_softmax
from pipelines.student_weighting import shares
from pipelines.teacher_logits import TeacherLogits

NEEDS = Needs(signals=(LOGITS,))
PER_ROW = True


class Options(PluginOptions):
    """w_k proportional to m_k = sum_{c in S_k} p_cover(c), S_k the classes k knows, per row and at T = 1.

    covering: name of the teacher that knows all the classes and says whose row it is.
    own_share: part of the weight that stays with the covering teacher; the specialists share the rest.
    A row with no specialist of any mass falls to the covering teacher; a row it has no label for is shared equally.
    Our own definition.
    """

    kind: Literal["coverage"] = "coverage"
    covering: str
    own_share: Annotated[float, Field(ge=0, le=1)] = 0.2


def weights(options: Options, teachers: TeacherLogits | None, labels_B: Tensor | None, names: Sequence[str]) -> Tensor:
    """Returns weights [K, B]. Raises `ConfigError` when `covering` is no teacher of the run, or lacks a class."""
    if teachers is None or options.covering not in names:
        raise ConfigError(
            "The covering teacher doesn't exist.", expected=", ".join(names), found=options.covering, where="weighting"
        )
    index = list(names).index(options.covering)
    if not bool((teachers.class_mask_KC[index] | ~teachers.class_mask_KC.any(0)).all()):
        raise ConfigError("The covering teacher doesn't know all classes.", found=options.covering, where="weighting")
    cover_BC = masked_log_softmax(teachers.logits_KBC[index], teachers.class_mask_KC[index]).exp()
    mass_KB = teachers.class_mask_KC.to(cover_BC.dtype) @ cover_BC.mT
    special_K1 = (torch.arange(len(mass_KB), device=mass_KB.device) != index).unsqueeze(1)
    heard_KB = special_K1 & teachers.present_KB
    of_specialists_KB = shares(mass_KB, heard_KB) * (1 - options.own_share)
    own_KB = torch.where(special_K1, 0.0, 1 - of_specialists_KB.sum(0))
    guided_KB = of_specialists_KB + own_KB
    equal_KB = shares(torch.ones_like(mass_KB), teachers.present_KB)
    return torch.where(teachers.present_KB[index], guided_KB, equal_KB)
