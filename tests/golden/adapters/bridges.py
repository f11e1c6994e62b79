"""Feature methods with trained bridges, hashes, attention over layers, or two views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch

from pipelines.feature_method import FeatureBatch, Shapes
from pipelines.maths.maps import common_size
from pipelines.methods import (
    alp,
    lsh,
    margin_feature,
    reused_classifier,
    review,
    semantic_calibration,
    view_consistency,
)
from tests.golden.case import Case
from tests.golden.check import Output, Stated

IDS = ("ofd", "reviewkd_hcl", "reviewkd", "simkd", "semckd", "lshfm", "kdc_mae_js", "alp_kd")
SKIPS = {
    "ofd": {"p_n_stages"},
    "reviewkd_hcl": {"p_n_stages"},
    "semckd": {"p_n_s", "p_n_t"},
    "lshfm": {"p_std"},  # how the stored hash_w was drawn
}

Outputs = Mapping[str, Output]


def ofd(case: Case) -> Outputs:
    batch = FeatureBatch(case.leaf_stages("f_s"), case.fixed_stages("f_t"))
    adapter = margin_feature.adapter(margin_feature.Options(), Shapes.of(batch))
    names, outputs = {}, {}
    for index, connector in enumerate(cast("list[margin_feature.Connector]", list(adapter.children()))):
        names[f"{index}.bridge.conv.weight"] = f"par_conv_{index}"
        names[f"{index}.bridge.bn.weight"] = f"par_bn_weight_{index}"
        names[f"{index}.bridge.bn.bias"] = f"par_bn_bias_{index}"
        margin = margin_feature.margin_of_norm(case.fixed(f"bn_t_weight_{index}"), case.fixed(f"bn_t_bias_{index}"))
        connector.margin_C.copy_(margin)
        outputs[f"margin_{index}"] = margin
    case.fill(adapter, names)
    return {"loss": margin_feature.loss(batch, adapter, margin_feature.Options()).mean(), **outputs}


def reviewkd_hcl(case: Case) -> Outputs:
    both = zip(case.leaf_stages("f_s"), case.fixed_stages("f_t"), strict=True)
    return {"loss": torch.stack([review.hierarchical(s, t).mean() for s, t in both]).sum()}


def reviewkd(case: Case) -> Outputs:
    student = (*case.leaf_stages("f_s"), case.leaf("pooled_s"))
    batch = FeatureBatch(student, (*case.fixed_stages("f_t"), case.fixed("pooled_t")))
    options = review.Options(width=len(case.fixed("par_abf0_conv1_1_weight")))
    adapter = review.adapter(options, Shapes.of(batch))
    theirs = {
        "inward.conv.weight": "conv1_0_weight",
        "inward.bn.weight": "conv1_1_weight",
        "inward.bn.bias": "conv1_1_bias",
        "gate.weight": "att_conv_0_weight",
        "gate.bias": "att_conv_0_bias",
        "outward.weight": "conv2_0_weight",
        "bn.weight": "conv2_1_weight",
        "bn.bias": "conv2_1_bias",
    }
    named = [name.partition(".")[::2] for name, _ in adapter.named_parameters()]
    case.fill(adapter, {f"{stage}.{rest}": f"par_abf{stage}_{theirs[rest]}" for stage, rest in named})
    return {"loss": review.loss(batch, adapter, options).mean()}


def simkd(case: Case) -> Outputs:
    batch = FeatureBatch((case.leaf("f_s"),), (case.fixed("f_t"),))
    options = reused_classifier.Options(factor=case.whole("p_factor"))
    adapter = reused_classifier.adapter(options, Shapes.of(batch))
    named = [name for name, _ in adapter.named_parameters()]
    case.fill(adapter, {name: "par_" + name.removeprefix("0.").replace(".", "_") for name in named})
    (projector,) = adapter.children()
    projected = projector(batch.student[0])
    _, target = common_size(projected, batch.teacher[0])
    return {
        "loss": reused_classifier.loss(batch, adapter, options).mean(),
        "proj_s": projected,
        "target_t": target,
        "logits_via_teacher_head": reused_classifier.grafted_logits(
            projected, case.fixed("cls_weight"), case.fixed("cls_bias")
        ),
    }


def semckd(case: Case) -> Outputs:
    batch = FeatureBatch(case.leaf_stages("f_s"), case.fixed_stages("f_t"))
    rows, soft = len(batch.student[0]), case.number("p_soft")
    options = semantic_calibration.Options(batch=rows, soft=soft, width=len(case.fixed("par_query_0_linear2_weight")))
    adapter = semantic_calibration.Calibration(options, Shapes.of(batch))
    names = {}
    for name, _ in adapter.named_parameters():
        part, first, rest = name.split(".", 2)
        if part == "bridge":
            second, rest = rest.split(".", 1)
            names[name] = f"par_regressor{first}{second}_regressor_{rest.replace('.', '_')}"
        else:
            names[name] = f"par_{part}_{first}_{rest.replace('.', '_')}"
    case.fill(adapter, names)
    return {
        "loss": semantic_calibration.loss(batch, adapter, options).mean(),
        "attention": adapter.attention(batch, soft),
    }


def lshfm(case: Case) -> Outputs:
    batch = FeatureBatch(
        (case.leaf("f_s"),), (case.fixed("f_t"),), labels_B=case.labels(), teacher_logits_BC=case.fixed("z_t")
    )
    l2 = bool(case.whole("p_with_l2"))
    options = lsh.Options(hashes=len(case.fixed("hash_w")), l2=l2)
    adapter = lsh.adapter(options, Shapes.of(batch)).to(case.dtype)
    planes = cast(lsh.Hyperplanes, next(adapter.children()))
    planes.weight_ND.copy_(case.fixed("hash_w"))
    lsh.prepare(adapter, (case.fixed("train_f_t"),), options)
    everywhere = lsh.Options(hashes=options.hashes, l2=l2, only_right=False)
    return {
        "hash_b": planes.bias_N,
        "loss": lsh.loss(batch, adapter, options).mean(),
        "loss_all": lsh.loss(batch, adapter, everywhere).mean(),
    }


def kdc_mae_js(case: Case) -> Outputs:
    views = case.leaf("latent1"), case.leaf("latent2")
    losses = view_consistency.loss(FeatureBatch(views[:1], views[1:]), None, view_consistency.Options())
    share, why = case.number("p_weight"), "the term's weight"
    return {
        "q1": view_consistency.profile(views[0]),
        "q2": view_consistency.profile(views[1]),
        "loss_per_sample": Stated(losses, share, why),
        "loss": Stated(losses.mean(), share, why),
    }


def alp_kd(case: Case) -> Outputs:
    student, teacher = case.leaf("h_s"), case.fixed("h_t")
    batch, options = FeatureBatch(student.unbind(1), teacher.unbind(1)), alp.Options(stable=False)
    layers = alp.stacks(batch, None, options)
    return {"attention": alp.attention(*layers, options), "loss": alp.loss(batch, None, options).mean()}
