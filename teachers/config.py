"""What the configuration says about one teacher: its backend, the classes it answers for, what it is fitted on, and
how many hosts of what size ask it.

`pool` never changes a label, so it is no part of a teacher's identity.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from foundation import registry
from foundation.model import StrictModel
from foundation.plugin_field import PluginField
from teachers.names import ClassName
from teachers.teacher import BackendOptions


class FitConfig(StrictModel):
    """Rows (a row set of the data) and label column a backend that fits learns from."""

    rows: str
    label: str


class PoolConfig(StrictModel):
    """The hosts of a teacher: between `min` and `max` of them, each holding `num_cpus`, `num_gpus` and `resources`.

    `batch_size` rows are asked at a time, always (a short batch is filled up), so that labels are equal bit for bit
    however the rows are spread.
    """

    min: int = Field(default=1, ge=1)
    max: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=1.0, ge=0)
    num_gpus: float = Field(default=0.0, ge=0)
    resources: dict[str, float] = Field(default_factory=dict)
    batch_size: int = Field(default=64, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> PoolConfig:
        if self.min > self.max:
            raise ValueError(f"pool.min {self.min} is more than pool.max {self.max}")
        return self


class TeacherConfig(StrictModel):
    """One teacher. `classes` are the class names of its answer in column order; absent: all classes of the data."""

    backend: Annotated[BackendOptions, PluginField("backend")]
    classes: tuple[ClassName, ...] | None = Field(default=None, min_length=2)
    fit: FitConfig | None = None
    pool: PoolConfig = Field(default_factory=PoolConfig)

    @model_validator(mode="after")
    def _fits_the_backend(self) -> TeacherConfig:
        if self.classes and len(set(self.classes)) != len(self.classes):
            raise ValueError("classes lists a name more than once")
        fits = bool(getattr(registry.load("backend", self.backend.kind), "FITS", False))
        if fits and self.fit is None:
            raise ValueError(f"backend {self.backend.kind!r} is fitted here: add fit: {{rows: ..., label: ...}}")
        if not fits and self.fit is not None:
            raise ValueError(f"backend {self.backend.kind!r} comes trained: remove fit")
        return self
