"""Small trainable bridges from a student's layer to a teacher's. Parameters only; what they are for is the method's."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from foundation.errors import ConfigError
from pipelines.maths.maps import as_map


class Norm(nn.BatchNorm2d):
    """Batch normalisation that uses the running statistics where a batch has a single value per channel."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(input)


class Norm1d(nn.BatchNorm1d):
    """The same for vectors: a batch of one row is normalised by the running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and len(input) == 1:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(input)


class Conv1x1(nn.Module):
    """1 x 1 convolution without bias, then batch normalisation."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inward, outward, 1, bias=False)
        self.bn = Norm(outward)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.bn(self.conv(as_map(features))))


class Pointwise(nn.Module):
    """Pooling to the teacher's size where it is smaller, 1 x 1 convolution with bias, batch normalisation, ReLU."""

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        super().__init__()
        self.size = _sizes(teacher)[1:]
        self.transfer = nn.Sequential(
            nn.Conv2d(channels(student), channels(teacher), 1), Norm(channels(teacher)), nn.ReLU()
        )

    def forward(self, features: Tensor) -> Tensor:
        maps = as_map(features)
        if maps.shape[2] > self.size[0]:
            maps = F.adaptive_avg_pool2d(maps, self.size)
        return cast(Tensor, self.transfer(maps))


class SizeRegressor(nn.Module):
    """Convolution to the teacher's channels and size, batch normalisation and, if wanted, ReLU (FitNets).

    Half the height: 3 x 3 of stride 2. Twice the height: transposed 4 x 4 of stride 2. Otherwise a valid convolution
    that shrinks to the size, 1 x 1 where sizes are equal. Raises `ConfigError` when the teacher's map is larger.
    """

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...], *, relu: bool) -> None:
        super().__init__()
        (inward, high, broad), (outward, goal_h, goal_w) = _sizes(student), _sizes(teacher)
        if high == 2 * goal_h:
            self.conv: nn.Module = nn.Conv2d(inward, outward, 3, stride=2, padding=1)
        elif 2 * high == goal_h:
            self.conv = nn.ConvTranspose2d(inward, outward, 4, stride=2, padding=1)
        elif high >= goal_h:
            self.conv = nn.Conv2d(inward, outward, (1 + high - goal_h, 1 + broad - goal_w))
        else:
            raise ConfigError("A student's map can't be brought to a larger one.", expected=teacher, found=student)
        self.bn = Norm(outward)
        self.relu: nn.Module = nn.ReLU() if relu else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.relu(self.bn(self.conv(as_map(features)))))


def bottleneck(inward: int, middle: int, outward: int, *, last: bool) -> nn.Sequential:
    """1x1, 3x3, 1x1 convolutions without bias, with batch normalisation and ReLU; after the last one only if `last`."""
    layers: list[nn.Module] = [nn.Conv2d(inward, middle, 1, bias=False), Norm(middle), nn.ReLU()]
    layers += [nn.Conv2d(middle, middle, 3, padding=1, bias=False), Norm(middle), nn.ReLU()]
    layers += [nn.Conv2d(middle, outward, 1, bias=False)]
    layers += [Norm(outward), nn.ReLU()] if last else []
    return nn.Sequential(*layers)


def channels(shape: tuple[int, ...]) -> int:
    """Returns the number of channels of one row's feature: the first axis of a map, the length of a vector."""
    return shape[0]


def _sizes(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)
