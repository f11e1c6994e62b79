"""Configuration of training: how long, how many rows a step, which optimiser."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from foundation.model import StrictModel


class OptimizerConfig(StrictModel):
    """kind: adam (weight decay is added to the gradient), adamw (decoupled), sgd (with `momentum`)."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0)] = 1e-8


class TrainConfig(StrictModel):
    """How students are trained.

    batch: rows per global step for each row set that a term uses, whatever the number of workers.
    schedule: cosine goes from lr to 0 over all steps.
    checkpoint_every: epochs between checkpoints.
    """

    epochs: Annotated[int, Field(ge=1)] = 1
    batch: Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1)]
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Literal["constant", "cosine"] = "constant"
    workers: Annotated[int, Field(ge=1)] = 1
    checkpoint_every: Annotated[int, Field(ge=1)] = 1
