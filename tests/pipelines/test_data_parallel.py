"""One, two and three workers over torch.distributed see the same global batches and end with the same parameters."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from pipelines.loop import Alone, Loop, train
from tests.pipelines.toy import job, objective, world

ABSENT = {"one": (2, 3, 4), "two": (3,), "three": (3, 11)}
TOLERANCE = 1e-6


class Gloo:
    """All-reduce over processes of this machine."""

    def __init__(self) -> None:
        self.rank, self.world = dist.get_rank(), dist.get_world_size()

    def sum_(self, tensor: torch.Tensor) -> None:
        dist.all_reduce(tensor)


def run(communicator: Any) -> dict[str, Any]:
    # Rows with missing teachers and unlabelled rows: the counts of a step differ between workers.
    config = objective().model_dump()
    config["terms"]["labels"]["rows"] = "transfer"
    data = world(missing="renormalise", absent=ABSENT)
    out: dict[str, Any] = {}
    for name, template in (("full", job(epochs=2)), ("holes", job(epochs=2, config=type(objective())(**config)))):
        *_, last = train(template, data if name == "holes" else world(), communicator=communicator)
        vector = torch.cat([p.detach().reshape(-1) for p in last.student.parameters()])
        out[name] = (vector, last.losses["total"])
    return out


def worker(rank: int, count: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count)
    torch.save(run(Gloo()), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_workers_end_where_one_ends(count: int, tmp_path: Path) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    mp.start_processes(worker, args=(count, str(tmp_path)), nprocs=count, start_method="spawn")  # type: ignore[no-untyped-call]
    alone = run(Alone())
    for rank in range(count):
        mine = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, (vector, loss) in alone.items():
            assert (mine[name][0] - vector).abs().max() <= TOLERANCE, name
            assert mine[name][1] == pytest.approx(loss, abs=1e-6)


class Threads:
    """Workers that are threads: the quick form of the same question."""

    def __init__(self, rank: int, world: int, shared: dict[str, Any]) -> None:
        self.rank, self.world, self._shared = rank, world, shared

    def sum_(self, tensor: torch.Tensor) -> None:
        self._shared[f"{self.rank}"] = tensor.clone()
        self._shared["barrier"].wait()
        total = sum(self._shared[f"{rank}"] for rank in range(self.world))
        self._shared["barrier"].wait()
        tensor.copy_(total)


@pytest.mark.parametrize("count", [2, 3, 11])
def test_threads_as_workers(count: int) -> None:
    """Eleven workers share batches of 8: some have no row at all, and that is no NaN."""
    data = world(missing="renormalise", absent=ABSENT)
    shared: dict[str, Any] = {"barrier": threading.Barrier(count, timeout=30)}
    loops = [Loop(job(epochs=2), data, Threads(rank, count, shared), None, "cpu") for rank in range(count)]
    alone = Loop(job(epochs=2), data, Alone(), None, "cpu")
    with ThreadPoolExecutor(count) as pool:
        for _ in range(2):
            losses = [future.result() for future in [pool.submit(loop.run_epoch) for loop in loops]]
            expected = alone.run_epoch()
            assert all(one == pytest.approx(expected, abs=1e-5) for one in losses)
    for loop in loops:
        for a, b in zip(loop.student.parameters(), alone.student.parameters(), strict=True):
            assert (a - b).abs().max() <= TOLERANCE
