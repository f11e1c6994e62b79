"""What a cache entry is known by: one teacher's answer, in one view, in one form. Never a data set, a temperature, a
weight, a student or a batch size: those may change and the labels stay good."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from foundation.fingerprint import fingerprint
from foundation.model import PluginOptions
from teachers.card import TeacherCard


@dataclass(frozen=True)
class EntryKey:
    """The parts of an entry's identity, each a JSON object.

    Attributes:
        teacher: the card without the two parts below.
        view: what was done to the row before the teacher saw it.
        output: signal, number of classes, codec with its options.
        numerics: the card's numerics.
        code: version of the backend's code or of the user's callable.
    """

    teacher: dict[str, Any]
    view: dict[str, Any]
    output: dict[str, Any]
    numerics: dict[str, Any]
    code: dict[str, Any]

    @property
    def id(self) -> str:
        """64 hex digits over all parts; the name of the entry's folder."""
        return fingerprint(self.parts())

    @property
    def num_classes(self) -> int:
        return int(self.output["classes"])

    def parts(self) -> dict[str, Any]:
        return asdict(self)

    def differences(self, other: EntryKey) -> list[tuple[str, Any, Any]]:
        """Returns (dotted name, my value, the other's value) of every part that differs; None where a side has none."""
        mine, theirs = _flat("", self.parts()), _flat("", other.parts())
        names = [*mine, *(name for name in theirs if name not in mine)]
        both = [(name, mine.get(name), theirs.get(name)) for name in names]
        return [item for item in both if item[1] != item[2] or (item[0] in mine) != (item[0] in theirs)]


def entry_key(card: TeacherCard, codec: PluginOptions) -> EntryKey:
    """Returns the key of the entry that holds this teacher's logits in this codec."""
    teacher = card.model_dump(mode="json")
    numerics, version = teacher.pop("numerics"), teacher.pop("version")
    return EntryKey(
        teacher=teacher,
        view={"kind": "identity", "version": 1},
        output={"signal": "logits", "classes": len(card.classes), "codec": codec.model_dump(mode="json")},
        numerics=numerics,
        code={"backend": version},
    )


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix.removesuffix("."): value}
    out: dict[str, Any] = {}
    for name, item in value.items():
        out.update(_flat(f"{prefix}{name}.", item))
    return out
