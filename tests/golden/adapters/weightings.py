"""Weightings, each with the loss it weighs, and the losses of peers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from foundation import registry
from pipelines.lens import Temperatures
from pipelines.methods import cross_entropy, mutual, soft_cross_entropy
from pipelines.student_weighting import Moment
from pipelines.teacher_logits import TeacherLogits
from pipelines.weightings import gradient_space
from tests.golden.call import everything, fused, method, options, teachers
from tests.golden.case import Case
from tests.golden.check import Differs, Output, Stated

IDS = ("ebkd", "camkd_logits", "aekd", "agre_kd", "agre_kd_batch", "wml", "wml_vanilla", "wml_mirror")
SKIPS = {
    "ebkd": {"y"},  # stored, not used by the weight
    "aekd": {"y"},
    # The head z_s = h w' + b: the original differentiates through it, ours has the closed form in the logits.
    "agre_kd": {"h", "w_head", "b_head"},
    "agre_kd_batch": {"h", "w_head", "b_head"},
    "wml": {"p_M"},  # the number of peers is the number of arrays
    "wml_vanilla": {"p_M"},
}

Outputs = Mapping[str, Output]


def _weigh(name: str, signals: TeacherLogits, labels_B: Tensor | None, *moment: Moment, **values: object) -> Tensor:
    names = [str(k) for k in range(len(signals.logits_KBC))]
    module = registry.load("weighting", name)
    weights: Tensor = module.weights(options("weighting", name, **values), signals, labels_B, names, *moment)
    return weights.detach()


def _moment(student_BC: Tensor, signals: TeacherLogits, at: float) -> Moment:
    return Moment(student_BC.detach(), Temperatures.of([at] * len(signals.logits_KBC), student_BC.dtype))


def ebkd(case: Case) -> Outputs:
    signals, at = teachers(case.fixed("z_t")), case.number("p_T")
    weights_KB = _weigh("entropy", signals, None)
    count = len(weights_KB)
    loss = fused(method("kl"), case.leaf("z_s"), case.fixed("z_t"), at, weights_KB).mean()
    return {
        "weight": Stated(weights_KB, count - 1, "the original's weights sum to K - 1"),
        "loss": Stated(loss, (count - 1) / count, "and its loss is divided by K once more"),
    }


def camkd_logits(case: Case) -> Outputs:
    signals, at = teachers(case.fixed("z_t")), case.number("p_T")
    weights_KB = _weigh("confidence", signals, case.labels())
    loss = fused(method("kl"), case.leaf("z_s"), case.fixed("z_t"), at, weights_KB).mean()
    return {
        "weight": weights_KB,
        "loss": Stated(loss, 1 / len(weights_KB), "weights sum to 1 and it divides by K again"),
    }


def aekd(case: Case) -> Outputs:
    signals, at, nu = teachers(case.fixed("z_t")), case.number("p_T"), case.number("p_nu")
    student = case.leaf("z_s")
    moment = _moment(student, signals, at)
    assert moment.temperature is not None
    weights_K1 = _weigh(
        "gradient_space",
        signals,
        None,
        moment,
        nu=None if nu < 0 else nu,
        unit_gradients=bool(case.number("p_svm_norm")),
    )
    single = [fused(method("kl"), student, teacher, at).mean() for teacher in case.fixed("z_t")]
    return {
        "scale": weights_K1.squeeze(1),
        "teacher_grads": gradient_space.gradients(student.detach(), signals, moment.temperature),
        "loss_per_teacher": torch.stack(single).detach(),
        "loss": fused(method("kl"), student, case.fixed("z_t"), at, weights_K1).mean(),
    }


def _agre(case: Case) -> tuple[Tensor, Tensor]:
    """Returns weights of the imitated teachers [K, B] and loss_B; the biased model is the last teacher."""
    logits = torch.cat([case.fixed("z_t"), case.fixed("z_biased").unsqueeze(0)])
    signals, at = teachers(logits), case.number("p_T")
    student = case.leaf("z_s")
    weights_KB = _weigh("agre", signals, None, _moment(student, signals, at), biased=str(len(logits) - 1))
    return weights_KB[:-1], fused(method("kl"), student, logits, at, weights_KB)


def agre_kd(case: Case) -> Outputs:
    weights_KB, loss_B = _agre(case)
    return {"weight": weights_KB.mT, "loss_per_sample": loss_B, "loss": loss_B.mean()}


def agre_kd_batch(case: Case) -> Outputs:
    weights_KB, loss_B = _agre(case)
    assert (weights_KB - weights_KB.mean(1, keepdim=True)).abs().max() > 1e-3, "ours weigh each row for itself"
    why = "it has one weight per teacher for the whole batch"
    return {"weight": Differs(weights_KB.mean(1), why), "loss": Differs(loss_B.mean(), why)}


def _peers(case: Case) -> Tensor:
    return torch.stack(case.leaf_stages("z"))


def wml(case: Case) -> Outputs:
    peers, weights_M, share = _peers(case), case.leaf("w"), case.number("p_alpha")
    plain = cross_entropy.Options()
    counted = case.labels() >= 0
    hard_M = torch.stack([cross_entropy.loss(z[counted], case.labels()[counted], plain).mean() for z in peers])
    hard = (weights_M * hard_M).sum()
    soft = mutual.exchange(peers, weights_M, everything(peers)).sum(0)
    if case.status == "suspect":  # per sequence there, while its labels count per token; ours would be a mean per token
        soft = soft.sum(-1)
    return {"total_ce": hard, "loss": (1 - share) * hard + share * soft.mean()}


def wml_vanilla(case: Case) -> Outputs:
    peers, weights_M, share = _peers(case), case.leaf("w"), case.number("p_alpha")
    teacher, known = case.fixed("z_t"), everything(peers)
    hard_M = soft_cross_entropy.loss(peers, teacher, known, soft_cross_entropy.Options()).flatten(1).mean(1)
    hard = (weights_M * hard_M).sum()
    soft = mutual.exchange(peers, weights_M, known).sum(0).mean()
    return {"total_ce": hard, "loss": (1 - share) * hard + share * soft}


def wml_mirror(case: Case) -> Outputs:
    before_K = case.fixed("w")
    module = registry.load("weighting", "mirror_descent")
    chosen = options("weighting", "mirror_descent", step=case.number("p_step"))
    names = [str(k) for k in range(len(before_K))]
    moment = Moment(weights_K=before_K, slope_K=case.fixed("g"))
    return {"w_new": module.weights(chosen, None, None, names, moment).squeeze(1)}
