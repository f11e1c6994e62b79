"""CosPress: press the teacher's tokens into the student's width with their angles kept, and learn the pressed ones."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes
from pipelines.maths.classes import share_out, wide
from pipelines.maths.correlation import cosine, unit
from pipelines.maths.divergences import kl
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = True
_SELF = -1e8


class Options(PluginOptions):
    """L_global + L_local + L_fea + L_token (Mannix, Hodgkinson, Bondell: Preserving Angles Improves Feature
    Distillation, TMLR 2025; first called Teacher in the Middle). h = W t + b presses teacher tokens, token 0 is the
    class token.
        SNE(x, y): row softmax of cosines / k without oneself; `full`: P = (p + p') / sum, KL(P || Q) over all pairs;
            `half`: mean over rows of KL(p || q); mean over the temperatures k
        L_global = SNE(t, h) of class tokens over the batch;  L_local = SNE inside each image, mean over images
        L_token = 1 - cos(s, sg h) of class tokens;  L_fea = the same of all tokens of a row laid end to end

    The head learns from the SNE parts only, the student from the cosines only (sg = stop-gradient). No labels. The
    authors' head starts with a LayerNorm: `norm`. Vectors [B, D] are a single class token: then only L_global and
    L_token say anything (L_fea repeats L_token, L_local is 0). L_global is carried by every row; a single row has none.
    Data parallel: the rows of one call.
    """

    kind: Literal["cospress"] = "cospress"
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = tuple(k / 100 for k in range(1, 11))
    style: Literal["full", "half"] = "full"
    norm: bool = False


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns the head that presses teacher tokens into the student's width."""
    inward, outward = shapes.teacher[0][-1], shapes.student[0][-1]
    head = nn.Linear(inward, outward)
    return nn.Sequential(nn.LayerNorm(inward), head) if options.norm else head


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]."""
    return torch.stack(list(parts(batch, adapter, options).values())).sum(0)


def parts(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> dict[str, Tensor]:
    """Returns the four losses by name, each [B]."""
    student, teacher = _tokens(batch.student[0]), _tokens(batch.teacher[0].detach())
    pressed = cast(Tensor, cast(nn.Module, adapter)(teacher))
    fixed, rows = pressed.detach(), len(student)
    whole = neighbours(teacher[:, 0], pressed[:, 0], options)
    return {
        "global": whole.mean(-1, keepdim=True).expand(rows) if options.style == "half" else share_out(whole, rows),
        "local": _inside(teacher, pressed, options),
        "fea": 1 - cosine(student.flatten(1), fixed.flatten(1)),
        "token": 1 - cosine(student[:, 0], fixed[:, 0]),
    }


def neighbours(x: Tensor, y: Tensor, options: Options) -> Tensor:
    """Returns SNE of tokens [..., N, D], mean over temperatures: [...] for `full`, per token [..., N] for `half`."""
    found = [_neighbours_at(x, y, k, options.style) for k in options.temperatures]
    return torch.stack(found).mean(0)


def _inside(teacher: Tensor, pressed: Tensor, options: Options) -> Tensor:
    per_image = neighbours(teacher, pressed, options)
    return per_image.mean(-1) if options.style == "half" else per_image


def _neighbours_at(x: Tensor, y: Tensor, k: float, style: str) -> Tensor:
    log_p, log_q = (_log_neighbours(tokens, k) for tokens in (x, y))
    if style == "half":
        return kl(log_p, log_q)
    count = x.shape[-2]
    joint = (torch.logaddexp(log, log.mT).flatten(-2) for log in (log_p, log_q))
    log_joint_p, log_joint_q = (log - torch.logsumexp(log, -1, keepdim=True) for log in joint)
    return kl(log_joint_p, log_joint_q) if count > 1 else log_joint_q.sum(-1) * 0


def _log_neighbours(tokens: Tensor, k: float) -> Tensor:
    directions = unit(tokens)
    own = torch.eye(tokens.shape[-2], dtype=directions.dtype, device=directions.device) * _SELF
    return torch.log_softmax((directions @ directions.mT + own) / k, dim=-1)


def _tokens(features: Tensor) -> Tensor:
    features = wide(features)
    return features if features.dim() == 3 else features.flatten(1).unsqueeze(1)
