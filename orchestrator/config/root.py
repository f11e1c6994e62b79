"""The whole configuration as one model, composed from the sections, and the fingerprint of what decides results."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from foundation.fingerprint import fingerprint
from foundation.model import PluginOptions, StrictModel
from foundation.plugin_field import PluginField
from orchestrator.cluster.config import ClusterConfig
from orchestrator.config.sections import (
    CompareConfig,
    LabelConfig,
    SearchConfig,
)
from pipelines.data.config import DataConfig
from pipelines.objective_config import ObjectiveConfig
from pipelines.train_config import TrainConfig
from teachers.cache.config import CacheConfig
from teachers.config import TeacherConfig

RunName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$", max_length=64)]
TeacherName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]

# Where work is done, where labels are kept and how often a state is saved decide nothing: a run may be resumed with
# other values. `*` stands for any key.
UNDECISIVE: tuple[tuple[str, ...], ...] = (
    ("name",),
    ("teachers", "*", "pool"),
    ("cache", "root"),
    ("cache", "unit_rows"),
    ("label", "allow_quarantine"),
    ("train", "workers"),
    ("train", "checkpoint_every"),
    ("search", "concurrent"),
    ("cluster",),
)


class RunConfig(StrictModel):
    """Everything one run needs; see `docs/config_reference.md`."""

    format: Literal[1]
    name: RunName
    data: DataConfig
    teachers: dict[TeacherName, TeacherConfig] = Field(min_length=1)
    cache: CacheConfig = CacheConfig()
    label: LabelConfig
    student: Annotated[PluginOptions, PluginField("student")]
    objective: ObjectiveConfig
    train: TrainConfig
    search: SearchConfig | None = None
    compare: CompareConfig = CompareConfig()
    cluster: ClusterConfig = ClusterConfig()

    def tree(self) -> dict[str, Any]:
        """The configuration as plain JSON values, defaults filled in."""
        return self.model_dump(mode="json")

    def fingerprint(self) -> str:
        """64 hex digits over all that decides a run's results; not over pools, places, process counts."""
        return decisive_fingerprint(self.tree())


def decisive_fingerprint(tree: dict[str, Any]) -> str:
    """Returns the fingerprint of a configuration tree without its `UNDECISIVE` parts."""
    for path in UNDECISIVE:
        tree = _without(tree, path)
    return fingerprint(tree)


def _without(tree: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    head, rest = path[0], path[1:]
    if not rest:
        return {key: value for key, value in tree.items() if head not in (key, "*")}
    return {
        key: _without(value, rest) if head in (key, "*") and isinstance(value, dict) else value
        for key, value in tree.items()
    }
