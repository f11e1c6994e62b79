"""Methods with several parts: multi-level, pressed angles, grafted heads, filters, memories, hidden states."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pipelines.feature_method import FeatureBatch, Shapes
from pipelines.methods import cospress as cospress_method
from pipelines.methods import crd as crd_method
from pipelines.methods import cross_entropy, cross_head, hidden_states, hint, multi_level
from pipelines.methods import rid as rid_method
from pipelines.teacher_logits import TeacherLogits
from pipelines.weightings import confidence
from tests.golden.call import teachers
from tests.golden.case import Case
from tests.golden.check import Output, Stated

IDS = (
    "mlkd_align", "mlkd_corr", "mlkd_supcon", "cospress", "crosskd", "crosskd_graft", "rid", "rid_vid_ted", "crd",
    "seq_hidden", "camkd_feature",
)  # fmt: skip

Outputs = Mapping[str, Output]


def _single(case: Case) -> FeatureBatch:
    return FeatureBatch((case.leaf("f_s"),), (case.fixed("f_t"),))


def _heads(case: Case, part: str, prefix: str, width: int = 1) -> tuple[multi_level.Heads, FeatureBatch]:
    batch = _single(case)
    heads = multi_level.Heads(batch.student[0].shape[1], batch.teacher[0].shape[1], width).to(case.dtype)
    module = heads.get_submodule(part)
    names = {name: f"par_{prefix}_{name.replace('.', '_')}" for name, _ in module.named_parameters()}
    case.fill(module, names)
    return heads, batch


def mlkd_align(case: Case) -> Outputs:
    heads, batch = _heads(case, "align", "mlp_net")
    return {"loss": multi_level.aligned(heads.align(batch.student[0]), batch.teacher[0]).mean()}


def mlkd_corr(case: Case) -> Outputs:
    heads, batch = _heads(case, "correlate", "mlp_net")
    options = multi_level.Options(correlate_temperature=case.number("p_temp"))
    return {"loss": multi_level.correlated(heads.correlate(batch.student[0]), batch.teacher[0], options)}


def mlkd_supcon(case: Case) -> Outputs:
    width = len(case.fixed("par_embed_s_linear_bias"))
    heads, batch = _heads(case, "student", "embed_s_linear", width)
    case.fill(heads.teacher, {name: f"par_embed_t_linear_{name}" for name in ("weight", "bias")})
    options = multi_level.Options(contrast_temperature=case.number("p_temp"))
    student, teacher = heads.student(batch.student[0]), heads.teacher(batch.teacher[0])
    return {"loss": multi_level.contrasted(student, teacher, case.labels(), options).mean()}


def cospress(case: Case) -> Outputs:
    batch = FeatureBatch((case.leaf("s_tokens"),), (case.fixed("t_tokens"),))
    kernels = tuple(case.fixed("p_temps").tolist())
    options = cospress_method.Options.model_validate({"temperatures": kernels, "style": case.text("p_style")})
    head = cospress_method.adapter(options, Shapes.of(batch))
    case.fill(head, {name: f"par_head_{name}" for name in ("weight", "bias")})
    parts = cospress_method.parts(batch, head, options)
    total = cospress_method.loss(batch, head, options).mean()
    return {"loss": total, **{f"loss_{name}": part.mean() for name, part in parts.items()}}


def _locations(maps_NCHW: Tensor) -> Tensor:
    return maps_NCHW.permute(0, 2, 3, 1)


def crosskd(case: Case) -> Outputs:
    cross, teacher = _locations(case.leaf("cls_cross")), _locations(case.fixed("cls_t"))
    weight = case.fixed("label_weight").view(teacher.shape[:-1])
    everything = torch.ones(teacher.shape[-1], dtype=torch.bool)
    options = cross_head.Options(beta=case.number("p_beta"))
    single = torch.finfo(torch.float32).eps
    classes = (weight * cross_head.loss(cross, teacher, everything, options)).sum()
    bins = case.whole("p_reg_max") + 1
    student_bins, teacher_bins = (
        _locations(maps).reshape(*teacher.shape[:-1], 4, bins) for maps in (case.leaf("reg_cross"), case.fixed("reg_t"))
    )
    at = cross_head.location_weights(teacher, weight > 0)
    sides = 4 / (4 + single)  # the original divides the sum over four sides by 4 + eps and has the weight 4
    raw = 4 * sides * cross_head.box_loss(student_bins, teacher_bins, at).sum()
    return {
        "loss_cls": classes / (case.number("p_avg_factor") + single),
        "loss_reg": raw / at.sum(),
        "loss_reg_raw": raw.detach(),
        "reg_norm": at.sum(),
    }


def crosskd_graft(case: Case) -> Outputs:
    student, teacher = case.leaf("f_s"), case.fixed("f_t")
    aligned = cross_head.rescale(student, teacher)
    return {
        "aligned": aligned.detach(),
        "pull": (aligned * case.fixed("cotangent")).sum(),
        "pkd_loss": cross_head.pearson_feature(student, teacher).mean(),
    }


def _hard(case: Case, logits: Tensor) -> Tensor:
    return cross_entropy.loss(logits, case.labels(), cross_entropy.Options()).mean()


def rid(case: Case) -> Outputs:
    student, teacher, raw = case.leaf_stages("f_s"), case.leaf_stages("f_t"), case.leaf_stages("a")
    layers = list(zip(student, teacher, raw, strict=True))
    first = torch.stack([rid_method.about_labels(z, case.labels()).mean() for z in case.leaf_stages("z_head")]).sum()
    coupled = torch.stack([rid_method.coupling(s.detach(), t, a.detach()).mean() for s, t, a in layers]).sum()
    squared, plain = (
        torch.stack([rid_method.mimic(s, t.detach(), a, spread).mean() for s, t, a in layers]).sum()
        for spread in ("square", "log")
    )
    assert case.status == "suspect" and not torch.isclose(squared, plain), "the default is the likelihood, not v^2"
    return {
        "loss_A_first_round": first,
        "loss_A_later_round": first + coupled,
        "loss_B": case.number("p_alpha0") * _hard(case, case.leaf("z_s")) + case.number("p_alpha1") * squared,
    }


def rid_vid_ted(case: Case) -> Outputs:
    student, teacher, raw = case.leaf_stages("f_s"), case.fixed_stages("f_t"), case.leaf_stages("a")
    layers = zip(student, teacher, raw, strict=True)
    vid = 0.5 * torch.stack([rid_method.mimic(s, t, a, "log").mean() for s, t, a in layers]).sum()
    ted = hint.loss(FeatureBatch(student, teacher), None, hint.Options(regressor="none")).mean()
    hard, weight = case.number("p_alpha0") * _hard(case, case.leaf("z_s")), case.number("p_alpha1")
    return {
        "loss_vid": hard + weight * vid,
        "loss_vid_distill": vid,
        "loss_ted": hard + weight * ted,
        "loss_ted_distill": ted,
    }


def crd(case: Case) -> Outputs:
    batch = FeatureBatch((case.leaf("f_s"),), (case.fixed("f_t"),), rows_B=case.labels("idx"))
    options = crd_method.Options(
        negatives=case.whole("p_K"),
        width=len(case.fixed("par_s_bias")),
        temperature=case.number("p_T"),
        momentum=case.number("p_momentum"),
    )
    rows = case.whole("p_n_data")
    memory = crd_method.Memory(batch.student[0].shape[1], batch.teacher[0].shape[1], rows, options)
    sides = {"student": "s", "teacher": "t"}
    case.fill(memory, {f"{long}.{p}": f"par_{short}_{p}" for long, short in sides.items() for p in ("weight", "bias")})
    memory.student_ND.copy_(case.fixed("memory_v1"))
    memory.teacher_ND.copy_(case.fixed("memory_v2"))
    memory.normaliser_2.copy_(torch.tensor([case.number("p_Z_v1_in"), case.number("p_Z_v2_in")]))
    chosen = case.labels("contrast_idx")
    loss = crd_method.contrast(batch, memory, chosen, options).mean()
    crd_method.remember(batch, memory, options, chosen)
    return {
        "loss": loss,
        "Z_v1": memory.normaliser_2[0],
        "Z_v2": memory.normaliser_2[1],
        "memory_v1_after": memory.student_ND,
        "memory_v2_after": memory.teacher_ND,
    }


def seq_hidden(case: Case) -> Outputs:
    mask = case.fixed("mask")
    hidden = FeatureBatch((case.leaf("h_s"),), (case.fixed("h_t"),), valid_BN=mask)
    two = FeatureBatch((case.leaf("h_s"), case.fixed("h_s2")), (case.fixed("h_t"), case.fixed("h_t2")), valid_BN=mask)
    scores = FeatureBatch((case.leaf("A_s"),), (case.fixed("A_t"),), valid_BN=mask)
    unmasked = FeatureBatch(hidden.student, hidden.teacher)

    def mean(batch: FeatureBatch, compare: str) -> Tensor:
        options = hidden_states.Options.model_validate({"compare": compare})
        return hidden_states.loss(batch, None, options).mean()

    return {
        "loss_hid_mse": mean(hidden, "mse"),
        "loss_hid_mse_nomask": mean(unmasked, "mse"),
        "loss_cos": mean(hidden, "cosine"),
        "loss_pkd": mean(hidden, "first_token"),
        "loss_att_mse": mean(scores, "attention_mse"),
        "loss_att_ce": mean(scores, "attention_ce"),
        "loss_fsp": mean(two, "fsp"),
        "loss_gram": mean(two, "gram"),
    }


def camkd_feature(case: Case) -> Outputs:
    logits = torch.stack(case.leaf_stages("z_out"))
    known: TeacherLogits = teachers(logits)
    names = [str(k) for k in range(len(logits))]
    weights_KB = confidence.weights(confidence.Options(), known, case.labels(), names)
    both = zip(case.leaf_stages("f_s_proj"), case.fixed_stages("f_t"), strict=True)
    losses_KB = torch.stack([hint.distance(s, t) for s, t in both])
    loss = (weights_KB * losses_KB).sum(0).mean()
    return {"weight": weights_KB, "loss": Stated(loss, 1 / len(logits), "weights sum to 1, and it divides by K again")}
