"""Optimisers over one flat vector of parameters.

Small students spend more time in an optimiser's bookkeeping than in its arithmetic: one vector and six operations
take a tenth of `torch.optim`'s time there, and the state is two plain tensors that any file format can hold. The
update rules are torch's own (tests compare them step by step).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from foundation.errors import ConfigError
from pipelines.train_config import OptimizerConfig, TrainConfig


class FlatParameters:
    """All trained parameters of a student as views into one vector `values_P`."""

    def __init__(self, student: nn.Module) -> None:
        self.views = [parameter for parameter in student.parameters() if parameter.requires_grad]
        if not self.views or len({parameter.dtype for parameter in self.views}) != 1:
            raise ConfigError(
                "A student needs trained parameters, all of one dtype.",
                found=", ".join(sorted({str(parameter.dtype) for parameter in self.views})) or "no parameters",
                where="student",
            )
        self.values_P = torch.cat([parameter.detach().reshape(-1) for parameter in self.views])
        start = 0
        for parameter in self.views:
            parameter.data = self.values_P[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()

    def gradient(self, outputs: list[Tensor], scales: list[Tensor]) -> Tensor:
        """Returns the gradient [P] of sum_i scales_i outputs_i; zeros where there is nothing to differentiate."""
        if not outputs:
            return torch.zeros_like(self.values_P)
        grads = torch.autograd.grad(outputs, self.views, scales, allow_unused=True, materialize_grads=True)
        return torch.cat([grad.reshape(-1) for grad in grads])


class Optimizer:
    """Adam, AdamW or SGD with momentum; `step` takes a gradient [P] and this step's learning rate."""

    def __init__(self, config: OptimizerConfig, values_P: Tensor) -> None:
        self._config, self._values = config, values_P
        names = ["momentum"] if config.kind == "sgd" else ["first", "second"]
        self.state = {name: torch.zeros_like(values_P) for name in names}
        self._root = torch.empty_like(values_P)
        self._update = self._sgd if config.kind == "sgd" else self._adam

    @torch.no_grad()
    def step(self, gradient_P: Tensor, lr: float, count: int) -> None:
        """Updates the parameters in place; `count` is 1 for the first step."""
        decay = self._config.weight_decay
        if decay and self._config.kind == "adamw":
            self._values.mul_(1 - lr * decay)
        elif decay:
            gradient_P = gradient_P.add(self._values, alpha=decay)
        self._update(gradient_P, lr, count)

    def _adam(self, gradient_P: Tensor, lr: float, count: int) -> None:
        beta1, beta2 = self._config.betas
        first, second = self.state["first"], self.state["second"]
        first.lerp_(gradient_P, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient_P, gradient_P, value=1 - beta2)
        torch.sqrt(second, out=self._root)
        self._root.div_(math.sqrt(1 - beta2**count)).add_(self._config.eps)
        self._values.addcdiv_(first, self._root, value=-lr / (1 - beta1**count))

    def _sgd(self, gradient_P: Tensor, lr: float, count: int) -> None:
        if self._config.momentum:
            gradient_P = self.state["momentum"].mul_(self._config.momentum).add_(gradient_P)
        self._values.add_(gradient_P, alpha=-lr)


def learning_rate(config: TrainConfig, total_steps: int) -> Callable[[int], float]:
    """Returns the learning rate as a function of the number of steps already taken."""
    base = config.optimizer.lr
    if config.schedule == "constant":
        return lambda done: base
    return lambda done: base * 0.5 * (1 + math.cos(math.pi * min(done, total_steps) / max(total_steps, 1)))
