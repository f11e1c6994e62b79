"""Spectra of feature maps: what is where matters less than how much there is of every spatial frequency."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from foundation.errors import ConfigError
from foundation.model import PluginOptions
from pipelines.feature_method import FEATURES, FeatureBatch, Shapes, added_up, bridged
from pipelines.maths.maps import as_map, mean_square
from pipelines.maths.regressors import channels
from pipelines.method import Needs

NEEDS = Needs(signals=(FEATURES,))
SPANS_BATCH = False


class Options(PluginOptions):
    """mean (A(S(F_s)) - S(F_t))^2, S(F) = log(1 + |2-D Fourier transform of each channel|) at the lowest `size` x
    `size` frequencies, divided by the square root of the number of positions (after Yu et al.: UHKD, 2025).

    OUR design where the paper could not be read: it transforms teacher features without training (FTM) and adapts the
    student's (FAM), compared by a mean square beside a KL on logits; which part of the spectrum, how much of it, and
    the adapter are ours. Magnitudes only, so circular shifts of a map change nothing. The teacher's side has no
    parameters: cache the spectra (`spectrum`), a few numbers per channel. match: `linear` = a trainable map over
    channels, in front of the transform; `none` = equal channels as they are. Sizes of maps may differ. Vectors are 1 x
    1 maps.
    """

    kind: Literal["frequency"] = "frequency"
    size: Annotated[int, Field(ge=1)] = 4
    match: Literal["linear", "none"] = "linear"


class Match(nn.Module):
    """A linear map over channels at every position."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inward, outward, 1)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.conv(as_map(features)))


def adapter(options: Options, shapes: Shapes) -> nn.Module | None:
    """Returns channel maps per stage, or None."""
    if options.match == "none":
        return None
    both = zip(shapes.student, shapes.teacher, strict=True)
    return nn.ModuleList([Match(channels(s), channels(t)) for s, t in both])


def loss(batch: FeatureBatch, adapter: nn.Module | None, options: Options) -> Tensor:
    """Returns losses [B]. Raises `ConfigError` for unequal channels without a map."""

    def one_pair(student: Tensor, teacher: Tensor) -> Tensor:
        s, t = spectrum(student, options.size), spectrum(teacher, options.size)
        if s.shape[1] != t.shape[1]:
            raise ConfigError(
                "Equal channels are needed without `match: linear`.", expected=t.shape[1], found=s.shape[1]
            )
        return mean_square(s - t)

    return added_up(bridged(batch, adapter), one_pair)


def spectrum(features: Tensor, size: int) -> Tensor:
    """Returns [B, C, size, size]: log magnitudes of the lowest frequencies, zeros where a map has fewer."""
    maps = as_map(features)
    waves = torch.fft.rfft2(maps, norm="ortho")[:, :, :size, :size]
    # A magnitude has no slope at exactly zero; this one is smooth there.
    strength = (waves.real.square() + waves.imag.square() + 1e-8).sqrt() - 1e-4
    full = strength.new_zeros(*maps.shape[:2], size, size)
    full[:, :, : waves.shape[2], : waves.shape[3]] = strength
    found: Tensor = full.clamp_min(0).log1p()
    return found
