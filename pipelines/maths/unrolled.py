"""Steps of gradient descent that can be differentiated through, for weights that are judged by where training goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Parameters = dict[str, Tensor]


def descend(
    parameters: Mapping[str, Tensor],
    losses: Sequence[Callable[[Parameters], Tensor]],
    *,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> Parameters:
    """Returns the parameters after one SGD step on each loss in turn, as a function of everything the losses depend on.

    g <- slope + weight_decay theta;  buffer <- momentum buffer + g (first: g);  theta <- theta - lr buffer. A parameter
    that a loss doesn't reach has slope 0 and still feels decay and momentum. The given parameters are left as they are.
    """
    now = dict(parameters)
    buffers: Parameters = {}
    for loss in losses:
        slopes = torch.autograd.grad(loss(now), list(now.values()), create_graph=True, allow_unused=True)
        for (name, theta), slope in zip(list(now.items()), slopes, strict=True):
            pull = weight_decay * theta if slope is None else slope + weight_decay * theta
            buffers[name] = momentum * buffers[name] + pull if name in buffers else pull
            now[name] = theta - lr * buffers[name]
    return now
