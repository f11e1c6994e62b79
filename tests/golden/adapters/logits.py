"""Methods on class logits, and the lens `standardize`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pipelines.methods.dist import pixels_as_rows
from tests.golden.call import fused, method, standardized, tempered
from tests.golden.case import Case

IDS = (
    "kd", "kd_ce", "lskd", "lskd_dkd", "dkd", "nkd", "wsld", "dist", "dist_dense", "multilevel_logit", "dml",
    "aver_mkd", "logit_mse_ce", "logit_cosine",
)  # fmt: skip
SKIPS = {"aver_mkd": {"y"}}  # labels are stored, the loss has none

Outputs = Mapping[str, Tensor]


def kd(case: Case) -> Outputs:
    return {"loss": fused(method("kl"), case.leaf("z_s"), case.fixed("z_t"), case.number("p_T")).mean()}


def kd_ce(case: Case) -> Outputs:
    from pipelines.methods import cross_entropy

    soft = kd(case)["loss"]
    hard = cross_entropy.loss(case.leaf("z_s"), case.labels(), cross_entropy.Options()).mean()
    share = case.number("p_alpha")
    return {"loss": share * soft + (1 - share) * hard}


def lskd(case: Case) -> Outputs:
    student, teacher = standardized(case.leaf("z_s")), standardized(case.fixed("z_t"))
    return {"loss": fused(method("kl"), student, teacher, case.number("p_T")).mean()}


def dkd(case: Case) -> Outputs:
    compare = method("dkd", case.labels(), alpha=case.number("p_alpha"), beta=case.number("p_beta"))
    return {"loss": fused(compare, case.leaf("z_s"), case.fixed("z_t"), case.number("p_T")).mean()}


def lskd_dkd(case: Case) -> Outputs:
    compare = method("dkd", case.labels(), alpha=case.number("p_alpha"), beta=case.number("p_beta"))
    student, teacher = standardized(case.leaf("z_s")), standardized(case.fixed("z_t"))
    return {"loss": fused(compare, student, teacher, case.number("p_T")).mean()}


def nkd(case: Case) -> Outputs:
    compare = method("nkd", case.labels(), gamma=case.number("p_gamma"), temperature=case.number("p_T"))
    return {"loss": tempered(compare, case.leaf("z_s"), case.fixed("z_t")).mean()}


def wsld(case: Case) -> Outputs:
    compare = method("wsld", case.labels(), alpha=case.number("p_alpha"), temperature=case.number("p_T"))
    return {"loss": tempered(compare, case.leaf("z_s"), case.fixed("z_t")).mean()}


def dist(case: Case) -> Outputs:
    compare = method("dist", beta=case.number("p_beta"), gamma=case.number("p_gamma"))
    return {"loss": fused(compare, case.leaf("z_s"), case.fixed("z_t"), case.number("p_tau")).mean()}


def dist_dense(case: Case) -> Outputs:
    compare = method("dist", beta=case.number("p_beta"), gamma=case.number("p_gamma"))
    student, teacher = pixels_as_rows(case.leaf("z_s")), pixels_as_rows(case.fixed("z_t"))
    return {"loss": tempered(compare, student, teacher).mean()}


def multilevel_logit(case: Case) -> Outputs:
    student, teacher, at = case.leaf("z_s"), case.fixed("z_t"), case.number("p_T")
    classes = method("class_batch_correlation", classes=1.0, rows=0.0)
    rows = method("class_batch_correlation", classes=0.0, rows=1.0)
    return {
        "loss_kd": fused(method("kl"), student, teacher, at).mean(),
        "loss_cc": tempered(classes, student, teacher, at).mean(),
        "loss_bc": tempered(rows, student, teacher, at).mean(),
    }


def dml(case: Case) -> Outputs:
    from pipelines.methods import cross_entropy

    hard = cross_entropy.loss(case.leaf("z_s"), case.labels(), cross_entropy.Options()).mean()
    peers = method("mutual", detach=False)
    soft = fused(peers, case.leaf("z_s"), case.leaf("z_peers"), case.number("p_T")).mean()
    share = case.number("p_alpha")
    return {"loss": (1 - share) * hard + share * soft}


def aver_mkd(case: Case) -> Outputs:
    return kd(case)


def logit_mse_ce(case: Case) -> Outputs:
    student, teacher, at = case.leaf("z_s"), case.fixed("z_t"), case.number("p_T")
    return {
        "loss_mse": tempered(method("logit_mse"), student, teacher, at).mean(),
        "loss_ce": tempered(method("soft_cross_entropy"), student, teacher, at).mean(),
    }


def logit_cosine(case: Case) -> Outputs:
    angles = tempered(method("logit_cosine"), case.leaf("z_s"), case.fixed("z_t"))
    return {"loss_sum": case.number("p_beta") * angles.sum()}
