"""What the configuration says about the cluster, and what a teacher's pool demands of it. Loads no Ray."""

from __future__ import annotations

from pydantic import Field

from foundation.model import StrictModel
from teachers.config import PoolConfig

__all__ = ["ClusterConfig", "PoolConfig", "demand"]


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


def demand(pool: PoolConfig) -> dict[str, float]:
    """Returns what one actor of the pool takes, by Ray resource name, zeros left out."""
    wanted = {"CPU": pool.num_cpus, "GPU": pool.num_gpus, **pool.resources}
    return {name: amount for name, amount in wanted.items() if amount > 0}
