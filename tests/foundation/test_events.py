from __future__ import annotations

import json
from dataclasses import dataclass

from foundation.events import Event


@dataclass(frozen=True)
class RowsRead(Event):
    rows: int
    parts: tuple[str, ...] = ()


def test_an_event_is_named_by_its_class_and_turns_into_json() -> None:
    event = RowsRead(3, ("a",))
    assert event.kind == "RowsRead"
    assert json.loads(json.dumps(event.to_json())) == {"event": "RowsRead", "rows": 3, "parts": ["a"]}
