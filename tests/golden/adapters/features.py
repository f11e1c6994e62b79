"""Methods on feature maps and vectors, and on relations among rows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from foundation import registry
from pipelines.feature_method import FeatureBatch, Shapes
from pipelines.methods import fsp as fsp_method
from tests.golden.call import options
from tests.golden.case import Case
from tests.golden.check import Differs, Output, Stated

IDS = (
    "at", "attn_map_mse", "factor_transfer", "fitnet", "sp", "pkt", "nst", "rkd", "vid", "fsp", "cckd",
    "cc_repdistiller", "ab",
)  # fmt: skip
SKIPS = {
    "at": {"p_n_stages"},
    "ab": {"p_n_stages"},
    "fsp": {"p_n_stages"},
    # The kind of convolution follows from the shapes; running statistics don't matter in training mode.
    "fitnet": {"p_kind", "par_bn_running_mean", "par_bn_running_var"},
}

Outputs = Mapping[str, Output]


def _single(case: Case) -> FeatureBatch:
    return FeatureBatch((case.leaf("f_s"),), (case.fixed("f_t"),))


def _stages(case: Case) -> FeatureBatch:
    return FeatureBatch(case.leaf_stages("f_s"), case.fixed_stages("f_t"))


def _loss(name: str, batch: FeatureBatch, adapter: nn.Module | None = None, **values: object) -> Tensor:
    losses: Tensor = registry.load("method", name).loss(batch, adapter, options("method", name, **values))
    return losses.mean()


def _adapter(name: str, batch: FeatureBatch, **values: object) -> nn.Module:
    made: nn.Module = registry.load("method", name).adapter(options("method", name, **values), Shapes.of(batch))
    return made


def at(case: Case) -> Outputs:
    return {"loss": _loss("attention_transfer", _stages(case), p=case.whole("p_p"))}


def attn_map_mse(case: Case) -> Outputs:
    return {"loss": _loss("attention_transfer", _single(case))}


def factor_transfer(case: Case) -> Outputs:
    return {"loss": _loss("factor_attention", _single(case), p1=case.whole("p_p1"), p2=case.whole("p_p2"))}


def fitnet(case: Case) -> Outputs:
    batch = _single(case)
    adapter = _adapter("hint", batch)
    named = [name for name, _ in adapter.named_parameters()]
    case.fill(adapter, {name: "par_" + name.removeprefix("0.").replace(".", "_") for name in named})
    return {"loss": _loss("hint", batch, adapter)}


def sp(case: Case) -> Outputs:
    return {"loss": _loss("similarity", _single(case))}


def pkt(case: Case) -> Outputs:
    return {"loss": _loss("pkt", _single(case), eps=case.number("p_eps"))}


def nst(case: Case) -> Outputs:
    return {"loss": _loss("nst", _single(case))}


def rkd(case: Case) -> Outputs:
    w_dist, w_angle, squared = case.number("p_w_dist"), case.number("p_w_angle"), bool(case.whole("p_squared"))
    return {"loss": _loss("relational", _single(case), w_dist=w_dist, w_angle=w_angle, squared=squared)}


def vid(case: Case) -> Outputs:
    batch, eps = _single(case), case.number("p_eps")
    adapter = _adapter("vid", batch, eps=eps)
    names = {f"0.w{n}.weight": f"par_w{n}" for n in (1, 2, 3)}
    case.fill(adapter, {**names, "0.log_scale": "log_scale"})
    return {"loss": _loss("vid", batch, adapter, eps=eps)}


def fsp(case: Case) -> Outputs:
    batch = _stages(case)
    return {"loss": _loss("fsp", batch), "loss_pairs": fsp_method.by_step(batch).mean(1)}


def cckd(case: Case) -> Outputs:
    batch = _single(case)
    return {"loss": _loss("correlation_congruence", batch, gamma=case.number("p_gamma"), order=case.whole("p_P"))}


def cc_repdistiller(case: Case) -> Outputs:
    batch = _single(case)
    ours = _loss("correlation_congruence", batch)
    turned = FeatureBatch((batch.student[0].flip(0).roll(1, 0),), (batch.teacher[0].flip(0).roll(1, 0),))
    torch.testing.assert_close(_loss("correlation_congruence", turned), ours)
    return {"loss": Differs(ours, "it depends on the order of the batch, ours does not")}


def ab(case: Case) -> Outputs:
    ours = _loss("activation_boundary", _stages(case), margin=case.number("p_margin"))
    return {"loss": Stated(ours, 3 / 1000, "the repository's weight of the term")}
