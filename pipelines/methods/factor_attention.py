"""Factor transfer's distance between attention maps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, added_up
from pipelines.maths.maps import attention, common_size
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """mean over positions of |q(F_s) - q(F_t)|^p2, q(F) = mean_c F_c^p1 at unit length (Kim, Park, Kwak: Paraphrasing
    Complex Network, NeurIPS 2018, in RepDistiller's form).

    The paper compares factors made by a paraphraser and a translator network; this common form has neither.
    The larger map is pooled to the smaller first; channels may differ; stages are added up. The paper's p2 is 1.
    """

    kind: Literal["factor_attention"] = "factor_attention"
    p1: Annotated[int, Field(ge=1, le=8)] = 2
    p2: Literal[1, 2] = 1


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B] from maps [B, C, H, W]."""

    def one_pair(student: Tensor, teacher: Tensor) -> Tensor:
        a, b = common_size(student, teacher)
        gap = attention(a, options.p1) - attention(b, options.p1)
        return gap.abs().pow(options.p2).mean(1)

    return added_up(batch, one_pair)
