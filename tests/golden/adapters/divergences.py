"""The relatives of the Kullback-Leibler divergence on token logits [B, T, V], over the tokens that count."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from tests.golden.call import method, tempered, valid_mean
from tests.golden.case import Case

IDS = ("gkd", "liger_jsd", "distillm")
SKIPS = {"distillm": {"z_t_inf"}}  # where set, z_t holds -1e30 in place of -inf

Outputs = Mapping[str, Tensor]


def gkd(case: Case) -> Outputs:
    compare = method("kl", direction="jensen_shannon", share=case.number("p_beta"))
    losses = tempered(compare, case.leaf("z_s"), case.fixed("z_t"), case.number("p_T"))
    return {"loss_per_token": losses, "loss": valid_mean(losses, case.labels() >= 0)}


def liger_jsd(case: Case) -> Outputs:
    compare = method("kl", direction="jensen_shannon", share=case.number("p_beta"))
    losses = tempered(compare, case.leaf("z_s"), case.fixed("z_t"))
    return {"loss_sum": losses[case.labels() >= 0].sum()}


def distillm(case: Case) -> Outputs:
    student, teacher, share = case.leaf("z_s"), case.fixed("z_t"), case.number("p_lam")
    valid = case.labels() >= 0

    def mean(name: str, side: Tensor, **values: str | float) -> Tensor:
        return valid_mean(tempered(method(name, None, **values), side, teacher), valid)

    entropy = mean("soft_cross_entropy", teacher)  # fkl and sfkl are cross-entropies there
    outputs = {
        "loss_fkl": mean("soft_cross_entropy", student),
        "loss_tv": mean("kl", student, direction="total_variation"),
        "loss_rkl": mean("kl", student, direction="reverse"),
        "loss_js": mean("kl", student, direction="jensen_shannon", share=1 - share),
        "loss_sfkl": mean("kl", student, direction="skewed", skew=share) + entropy,
        "loss_srkl": mean("kl", student, direction="skewed_reverse", skew=share),
    }
    outputs["loss_sym"] = (1 - share) * outputs["loss_fkl"] + share * outputs["loss_rkl"]
    return {name: value for name, value in outputs.items() if case.has(name)}
