"""Token methods: top-k targets, other vocabularies. And inputs that are moved or looked through."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipelines.maths.attribution import average_slope, heat, integrated_gradients, overlay
from pipelines.maths.boundary_attack import cross_boundary
from pipelines.methods import sparse_kl, universal_logit
from pipelines.token_method import TokenBatch
from tests.golden.call import method, tempered
from tests.golden.case import Case
from tests.golden.check import Output

IDS = ("sparse_topk", "uld", "gold_hybrid", "bss", "ig", "ig_overlay")
SKIPS = {"sparse_topk": {"p_k"}}

MISSING = {"ZERO": "renormalise", "SYMMETRIC_UNIFORM": "one_token"}

Outputs = Mapping[str, Output]


def sparse_topk(case: Case) -> Outputs:
    student, valid = case.leaf("z_s"), case.fixed("mask").bool()
    batch = TokenBatch(valid, student_logits=student, top_ids=case.labels("ids"), top_logprobs=case.fixed("logprobs"))
    missing, at = MISSING[case.text("p_missing")], case.number("p_T")
    outputs: dict[str, Output] = {}
    for name in ("kl", "js", "tv", "hinge"):
        options = sparse_kl.Options.model_validate(
            {"divergence": name, "missing": missing, "temperature": at, "square": False}
        )
        losses = sparse_kl.loss(batch, options)
        if name == "hinge":
            outputs[name] = losses[valid].mean()
        else:
            outputs[f"sum_{name}"] = losses.sum()
    if not case.has("hinge"):
        del outputs["hinge"]
    outputs["sum_dense_kl"] = tempered(method("kl"), student, case.fixed("z_t_dense"), at)[valid].sum()
    return outputs


def uld(case: Case) -> Outputs:
    options = universal_logit.Options(
        student_temperature=case.number("p_T_s"), teacher_temperature=case.number("p_T_t")
    )
    batch = TokenBatch(
        case.labels("y_s") >= 0,
        student_logits=case.leaf("z_s"),
        teacher_logits=case.fixed("z_t"),
        teacher_valid_BM=case.labels("y_t") >= 0,
    )
    return {"loss": universal_logit.loss(batch, options).mean()}


def gold_hybrid(case: Case) -> Outputs:
    pairs = torch.stack([case.labels("matched_student_ids"), case.labels("matched_teacher_ids")], dim=1)
    student, teacher = case.leaf("prob_s"), case.fixed("prob_t")
    weights = (case.number("w_matched"), case.number("w_unmatched"))
    options = universal_logit.Options(matched=True, share=case.number("p_beta"), weights=weights)
    same, other = universal_logit.split(student, teacher, pairs, options.share)
    return {
        "loss_matched": same.mean(),
        "loss_unmatched": other.mean(),
        "loss": universal_logit.combined(student, teacher, pairs, options).mean(),
    }


def _net(case: Case) -> nn.Module:
    sizes = [case.fixed("par_l1_weight").shape, case.fixed("par_l2_weight").shape]
    first, second = (nn.Linear(shape[1], shape[0]) for shape in sizes)
    net = nn.Sequential(nn.Flatten(), first, nn.Tanh(), second)
    layers = {"1": "l1", "3": "l2"}
    case.fill(net, {f"{i}.{p}": f"par_{name}_{p}" for i, name in layers.items() for p in ("weight", "bias")})
    return net.requires_grad_(False)


def bss(case: Case) -> Outputs:
    net = _net(case)
    moved = cross_boundary(
        net,
        case.fixed("x"),
        case.labels("y"),
        case.labels("attack_class"),
        steps=case.whole("p_num_steps"),
        size=case.number("p_step_alpha"),
        eps=case.number("p_eps"),
    )
    answer: Tensor = net(moved)
    loss = tempered(method("bss", temperature=case.number("p_T")), case.leaf("z_s"), answer)
    return {"x_adv": moved, "z_t_adv": answer, "loss": loss.mean()}


def ig(case: Case) -> Outputs:
    net, inputs, labels, steps = _net(case), case.fixed("x"), case.labels(), case.whole("p_steps")
    found = integrated_gradients(net, inputs, labels, steps=steps)
    return {
        "attributions_logit": found,
        "map_logit": heat(found),
        "avg_grad_prob_trapezoid": average_slope(net, inputs, labels, steps=steps),
    }


def ig_overlay(case: Case) -> Outputs:
    image, chosen = case.fixed("image"), case.number("u") < case.number("p_overlay_prob")
    shown = overlay(image, case.fixed("ig_map"), power=case.number("scale"))
    return {"out": shown if chosen else image, "overlaid": torch.tensor(float(chosen))}
