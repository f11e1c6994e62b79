"""Random draws from a given seed, with the process's own random state put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Inside, torch's generators of the CPU and of `device` start from `seed`; outside, nothing has changed.

    `torch.manual_seed` isn't used: on a machine without GPU each call queues a reminder for devices that never come.
    """
    if torch.device(device).type == "cuda":
        index = torch.device(device).index
        with torch.random.fork_rng(devices=[torch.cuda.current_device() if index is None else index]):
            torch.manual_seed(seed)
            yield
        return
    state = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(state)
