"""Multi-level distillation: align features, keep the relations between rotated and plain views, contrast by label."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, want
from pipelines.maths.classes import share_out
from pipelines.maths.correlation import cosine, unit
from pipelines.maths.divergences import kl
from pipelines.maths.maps import stack_rows
from pipelines.maths.regressors import Norm1d, channels
from pipelines.method import Needs

NEEDS = Needs(labels=True, signals=(FEATURES,))
SPANS_BATCH = True


class Options(PluginOptions):
    """align L_align + correlate L_corr + contrast L_sup (Ding et al.: Multi-level / Dual-level Knowledge Distillation,
    2020 / TNNLS 2024). Penultimate features; every image comes as `views` rotations, one after the other, the first
    plain:
        L_align = 2 - 2 cos(g(f_s), f_t), all rows;   g: linear, BN, ReLU, linear, 16 D_t inside
        L_corr  = mean over rotated r of KL(softmax(A_t,r / 0.5) || softmax(A_s,r / 0.5)), A_r,u = cosine of a rotated
        row
                  and a plain one, A_s on q(f_s);   q: linear, BN, ReLU, linear; no temperature^2
        L_sup   = supervised contrast over the 2 B vectors norm(E_s f_s), norm(E_t f_t): - mean_i mean over positives of
                  log softmax at temperature 0.07, oneself excluded; positives share the label

    The parts' weights are the CIFAR-100 script's without its cross-entropy. No class logits are used, so a
    self-supervised teacher will do. In L_sup 1e-7 goes inside the logarithm after the row's maximum is taken off, as in
    the authors' code; labels of -1 are positives of their own two views only. L_corr belongs to the batch and every row
    carries it; row i of L_sup carries its student and its teacher anchor. Data parallel: the rows of one call.
    """

    kind: Literal["multi_level"] = "multi_level"
    align: Annotated[float, Field(ge=0)] = 20.0
    correlate: Annotated[float, Field(ge=0)] = 50.0
    contrast: Annotated[float, Field(ge=0)] = 1.0
    views: Annotated[int, Field(ge=2)] = 4
    width: Annotated[int, Field(ge=1)] = 128
    correlate_temperature: Annotated[float, Field(gt=0)] = 0.5
    contrast_temperature: Annotated[float, Field(gt=0)] = 0.07


class Heads(nn.Module):
    """The trained maps of the three parts; those of the contrast are on both sides."""

    def __init__(self, student: int, teacher: int, width: int) -> None:
        super().__init__()
        self.align = _perceptron(student, 16 * teacher, teacher)
        self.correlate = _perceptron(student, student, student)
        self.student = nn.Linear(student, width)
        self.teacher = nn.Linear(teacher, width)


def adapter(options: Options, shapes: Shapes) -> nn.Module:
    """Returns the heads for the one layer compared."""
    return Heads(channels(shapes.student[0]), channels(shapes.teacher[0]), options.width)


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]."""
    heads = cast(Heads, adapter)
    student, teacher = stack_rows(batch.student[0]), stack_rows(batch.teacher[0].detach())
    (labels_B,) = want("multi_level", batch.labels_B)
    total = options.align * aligned(heads.align(student), teacher)
    if len(student) >= options.views:
        related = correlated(heads.correlate(student), teacher, options)
        total = total + options.correlate * share_out(related, len(student))
    return total + options.contrast * contrasted(heads.student(student), heads.teacher(teacher), labels_B, options)


def aligned(student_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    """Returns L_align [B]."""
    return 2 - 2 * cosine(student_BD, teacher_BD)


def correlated(student_BD: Tensor, teacher_BD: Tensor, options: Options) -> Tensor:
    """Returns L_corr, one number: relations of the rotated rows to the plain ones."""
    plain_B = torch.arange(len(student_BD), device=student_BD.device) % options.views == 0
    log_q, log_p = (
        torch.log_softmax(rows[~plain_B] @ rows[plain_B].mT / options.correlate_temperature, dim=1)
        for rows in (unit(student_BD), unit(teacher_BD))
    )
    return kl(log_p, log_q).mean()


def contrasted(student_BE: Tensor, teacher_BE: Tensor, labels_B: Tensor, options: Options) -> Tensor:
    """Returns L_sup [B], the mean of a row's two anchors."""
    count = len(labels_B)
    rows = torch.cat([unit(student_BE), unit(teacher_BE)])
    own = torch.arange(count, device=labels_B.device)
    names_B = torch.where(labels_B >= 0, labels_B, -1 - own).repeat(2)
    others = ~torch.eye(2 * count, dtype=torch.bool, device=rows.device)
    positive = (names_B.unsqueeze(0) == names_B.unsqueeze(1)) & others
    scores = rows @ rows.mT / options.contrast_temperature
    scores = scores - scores.max(1, keepdim=True).values.detach()
    log_p = scores - (scores.exp().where(others, 0.0).sum(1, keepdim=True) + 1e-7).log()
    anchors = -log_p.where(positive, 0.0).sum(1) / positive.sum(1)
    return anchors.view(2, count).mean(0)


def _perceptron(inward: int, middle: int, outward: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inward, middle), Norm1d(middle), nn.ReLU(), nn.Linear(middle, outward))
