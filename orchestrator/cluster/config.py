"""What the configuration says about the cluster and about the pool of actors of each teacher. Loads no Ray."""

from __future__ import annotations

from pydantic import Field, model_validator

from foundation.model import StrictModel


class ClusterConfig(StrictModel):
    """Where a run's processes live.

    Attributes:
        address: address of a running Ray cluster; None starts a private one on this machine.
        num_cpus: logical CPUs of the private cluster; None = as many as this process may use.
        object_store_mb: shared memory of the private cluster; small, because labels never travel through it.
        infeasible_after_s: seconds after which a demand that no node could ever meet is an error.
        dashboard: whether the private cluster serves Ray's dashboard (loopback only).
        health_check_s: period in which Ray Train polls its workers; a report waits for up to one period.
    """

    address: str | None = None
    num_cpus: int | None = Field(default=None, ge=1)
    object_store_mb: int = Field(default=200, ge=80)
    infeasible_after_s: float = Field(default=30.0, gt=0, le=60)
    dashboard: bool = False
    health_check_s: float = Field(default=0.2, gt=0)


class PoolConfig(StrictModel):
    """The actors that host one teacher.

    Attributes:
        min: actors that are wanted as long as there is work.
        max: actors at most.
        num_cpus: logical CPUs of each actor; also its number of threads.
        num_gpus: GPUs of each actor, fractions allowed.
        resources: custom Ray resources of each actor.
        batch_size: rows the teacher is asked at a time.
    """

    min: int = Field(default=1, ge=1)
    max: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=1.0, ge=0)
    num_gpus: float = Field(default=0.0, ge=0)
    resources: dict[str, float] = Field(default_factory=dict)
    batch_size: int = Field(default=64, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> PoolConfig:
        if self.max < self.min:
            raise ValueError(f"max must be at least min ({self.min})")
        return self

    def demand(self) -> dict[str, float]:
        """Returns what one actor takes, by Ray resource name, zeros left out."""
        wanted = {"CPU": self.num_cpus, "GPU": self.num_gpus, **self.resources}
        return {name: amount for name, amount in wanted.items() if amount > 0}
