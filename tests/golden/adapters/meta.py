"""Weights that are learnt by unrolled steps (MMKD)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipelines.feature_method import FeatureBatch, Shapes
from pipelines.methods import cross_entropy, hint
from pipelines.student_weighting import Moment
from pipelines.weightings import meta_weights
from tests.golden.call import fused, method, teachers
from tests.golden.case import Case
from tests.golden.check import Output

IDS = ("mmkd", "mmkd_meta")

Outputs = Mapping[str, Output]


def _network(case: Case, prefix: str, count: int, width: int) -> meta_weights.WeightNetwork:
    net = meta_weights.WeightNetwork(count, width)
    case.fill(net, {name: f"par_{prefix}_{name.replace('.', '_')}" for name, _ in net.named_parameters()})
    return net


def _bridges(case: Case, student: Tensor, targets: tuple[Tensor, ...]) -> nn.ModuleList:
    """One regressor per teacher, all from the same student layer."""
    batch = FeatureBatch((student,) * len(targets), targets)
    made = hint.adapter(hint.Options(regressor="pointwise"), Shapes.of(batch))
    names = [name for name, _ in cast(nn.Module, made).named_parameters()]
    theirs = {name: "par_match_regressor" + name.replace(".", "_") for name in names}
    case.fill(cast(nn.Module, made), theirs)
    return cast(nn.ModuleList, made)


def _feature_weights(net: nn.Module, student: Tensor, targets: tuple[Tensor, ...]) -> Tensor:
    grams = [rows.flatten(1) @ rows.flatten(1).mT for rows in (*targets, student)]
    weights: Tensor = net(grams[:-1], grams[-1])
    return weights


def _feature_loss(weights_BK: Tensor, bridged: list[Tensor], targets: tuple[Tensor, ...]) -> Tensor:
    losses_KB = torch.stack([hint.distance(s, t) for s, t in zip(bridged, targets, strict=True)])
    return (weights_BK.mT * losses_KB).sum(0).mean()


def _logit_weights(net: nn.Module, student: Tensor, logits: Tensor) -> Tensor:
    names = [str(k) for k in range(len(logits))]
    moment = Moment(student_logits_BC=student, network=net)
    return meta_weights.weights(meta_weights.Options(), teachers(logits), None, names, moment)


def mmkd(case: Case) -> Outputs:
    logits, targets = case.fixed("z_t"), case.fixed_stages("f_t")
    student, features = case.leaf("z_s"), case.leaf("f_s")
    by_logits = _network(case, "wl", len(logits), logits.shape[2])
    by_features = _network(case, "wf", len(logits), len(features))
    bridges = _bridges(case, features, targets)
    weight_logits = _logit_weights(by_logits, student, logits)
    weight_features = _feature_weights(by_features, features, targets)
    return {
        "weight_logits": weight_logits.mT.detach(),
        "weight_feature": weight_features.detach(),
        "loss_logits": fused(method("kl"), student, logits, case.number("p_T"), weight_logits).mean(),
        "loss_feature": _feature_loss(weight_features, [bridge(features) for bridge in bridges], targets),
    }


class _Student(nn.Module):
    """The golden file's toy student: f = tanh(conv1x1(x)), z = fc(mean f)."""

    def __init__(self, conv: tuple[int, ...], fc: tuple[int, ...]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(conv[1], conv[0], 1)
        self.fc = nn.Linear(fc[1], fc[0])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.tanh(self.conv(x))
        return features, self.fc(features.mean((2, 3)))


def mmkd_meta(case: Case) -> Outputs:
    x, logits, targets = case.fixed("x"), case.fixed("z_t"), case.fixed_stages("f_t")
    student = _Student(case.fixed("par_student_conv_weight").shape, case.fixed("par_student_fc_weight").shape)
    case.fill(student, {name: f"par_student_{name.replace('.', '_')}" for name, _ in student.named_parameters()})
    nets = [_network(case, "wl", len(logits), logits.shape[2]), _network(case, "wf", len(logits), len(x))]
    bridges = _bridges(case, student(x)[0], targets)
    parts = {"student": student, **{f"bridge{i}": bridge for i, bridge in enumerate(bridges)}}
    start: dict[str, Tensor] = {f"{part}:{name}": p for part, m in parts.items() for name, p in m.named_parameters()}
    beta, at, labels = case.number("p_beta"), case.number("p_T"), case.labels()

    def call(parameters: dict[str, Tensor], part: str, value: Tensor) -> object:
        own = {key.split(":", 1)[1]: p for key, p in parameters.items() if key.startswith(part + ":")}
        return functional_call(parts[part], own, (value,))

    def matching(parameters: dict[str, Tensor]) -> Tensor:
        features, answer = cast("tuple[Tensor, Tensor]", call(parameters, "student", x))
        soft = fused(method("kl"), answer, logits, at, _logit_weights(nets[0], answer, logits)).mean()
        bridged = [cast(Tensor, call(parameters, f"bridge{i}", features)) for i in range(len(targets))]
        return soft + beta * _feature_loss(_feature_weights(nets[1], features, targets), bridged, targets)

    def hard(parameters: dict[str, Tensor]) -> Tensor:
        _, answer = cast("tuple[Tensor, Tensor]", call(parameters, "student", x))
        return cross_entropy.loss(answer, labels, cross_entropy.Options()).mean()

    rates = {"lr": case.number("p_lr"), "momentum": case.number("p_momentum")}
    outer = meta_weights.meta_loss(start, matching, hard, weight_decay=case.number("p_weight_decay"), **rates)
    both = zip(("wl", "wf"), nets, strict=True)
    named = [(f"{p}_{n.replace('.', '_')}", v) for p, net in both for n, v in net.named_parameters()]
    slopes = torch.autograd.grad(outer, [value for _, value in named])
    return {
        "loss_matching": matching(start),
        "loss_train": hard(start) + matching(start),
        "loss_outer_after_3_steps": outer,
        **{f"hypergrad_{name}": slope for (name, _), slope in zip(named, slopes, strict=True)},
    }
