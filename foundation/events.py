"""Events: what the lower floors tell upward. They are plain values, yielded or returned; only the top floor listens."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something happened. Subclasses live beside the code that yields them; `kind` is the class name."""

    @property
    def kind(self) -> str:
        return type(self).__name__

    def to_json(self) -> dict[str, Any]:
        return {"event": self.kind, **asdict(self)}
