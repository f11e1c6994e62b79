"""How large is a loaded teacher? Bytes of all arrays and tensors that can be reached from it, each counted once.

For comparing sizes in a report, not for planning memory: code, Python objects and buffers of libraries are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

_DEPTH = 12
_GUEST = "raydistill_guest_"  # a user's own file belongs to the teacher; libraries that it imports do not


def footprint(model: object) -> int | None:
    """Returns the bytes held in arrays, or None when there are none to be found (a plain function, say)."""
    seen: set[int] = set()
    total = sum(_sizes(model, seen, 0))
    return total or None


def _sizes(value: Any, seen: set[int], depth: int) -> Iterator[int]:
    if id(value) in seen or depth > _DEPTH:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            yield value.nbytes
        else:
            for item in value.flat:
                yield from _sizes(item, seen, depth + 1)
    elif isinstance(value, ModuleType) and not value.__name__.startswith(_GUEST):
        return
    elif hasattr(type(value), "element_size") and hasattr(type(value), "numel"):  # a torch tensor; torch stays unloaded
        yield int(value.element_size() * value.numel())
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _sizes(item, seen, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _sizes(item, seen, depth + 1)
    else:
        yield from _attributes(value, seen, depth)


def _attributes(value: Any, seen: set[int], depth: int) -> Iterator[int]:
    module = type(value).__module__
    if module.startswith(("sklearn.tree._tree", "sklearn.neighbors.")):
        # Compiled parts keep their arrays out of `__dict__`; what they would save is what they hold.
        state = value.__getstate__() if hasattr(value, "__getstate__") else None
        if isinstance(state, dict | tuple):
            yield from _sizes(state, seen, depth + 1)
            return
    if isinstance(getattr(value, "__dict__", None), dict) and not isinstance(value, type):
        yield from _sizes(vars(value), seen, depth + 1)
