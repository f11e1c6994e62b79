"""From a file (or a mapping) to a `LoadedConfig`: read, apply `--set`, validate, cross-check, tell every problem."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from foundation import registry
from foundation.errors import ConfigError, RaydistillError
from foundation.fingerprint import fingerprint
from foundation.problems import Key, Problem, problems_of
from foundation.words import plain_text
from orchestrator.config.crosschecks import cross_check
from orchestrator.config.overrides import apply_sets
from orchestrator.config.root import RunConfig
from orchestrator.config.yaml_reader import Document, Unusable, read_file


@dataclass(frozen=True)
class LoadedConfig:
    """A checked configuration and where it came from.

    Attributes:
        config: the validated model.
        base_dir: folder that relative paths start from.
        text: the file's text as read, without `--set`.
        name: the file's name for messages; `config` for a mapping.
        sets: the `--set` texts.
        guests: the plug-in files given by the user.
    """

    config: RunConfig
    base_dir: Path
    text: str
    name: str = "config"
    path: Path | None = None
    sets: tuple[str, ...] = ()
    guests: tuple[registry.Guest, ...] = ()
    places: Document = field(default_factory=lambda: Document("config"))

    def identity(self, **more: str) -> str:
        """64 hex digits over all that decides results: configuration, guests' code, and `more` (such as data)."""
        code = sorted([guest.kind, guest.name, guest.digest] for guest in self.guests)
        return fingerprint({"config": self.config.fingerprint(), "guests": code, **more})


def load_config(
    source: Path | str | Mapping[str, Any],
    sets: Sequence[str] = (),
    plugins: Sequence[Path | str] = (),
    *,
    base_dir: Path | None = None,
) -> LoadedConfig:
    """Reads and checks a configuration.

    Args:
        source: a YAML file, or a mapping of the same form.
        sets: changes such as `train.epochs=10`.
        plugins: the user's plug-in files.
        base_dir: where relative paths start; default: the file's folder, or the working directory for a mapping.

    Raises:
        ConfigError: with every problem found, each with its place, what was expected and found, and a way out.
    """
    for plugin in plugins:
        registry.add_guest_file(Path(plugin))
    path: Path | None = None
    if isinstance(source, Mapping):
        document, text = _from_mapping(source), ""
    else:
        path = Path(source)
        document, text = read_file(path)
    values, origins, problems = apply_sets(document.values, list(sets))
    config, found = _check(values, document, origins)
    _raise([*document.problems, *problems, *found], document.name)
    assert config is not None
    folder = base_dir or (path.resolve().parent if path else Path.cwd())
    return LoadedConfig(config, folder, text, document.name, path, tuple(sets), registry.guests(), document)


def _from_mapping(source: Mapping[str, Any]) -> Document:
    try:
        plain = json.loads(json.dumps(source, allow_nan=False, default=_plain))
    except (TypeError, ValueError, RecursionError):
        raise ConfigError("The configuration holds a value that YAML has no form for.", where="config") from None
    return Document("config", plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError


def _check(values: Any, document: Document, origins: dict[Key, str]) -> tuple[RunConfig | None, list[Problem]]:
    """Validates everything; where a value was unusable already, follow-ups stay untold."""

    def locate(path: Key, key: bool) -> str:
        for length in range(len(path), 0, -1):
            if origin := origins.get(path[:length]):
                return origin
        return document.where(path, key=key)

    if not isinstance(values, dict):
        return None, [
            Problem(locate((), False), "", "a mapping (key: value)", "something else", "see `raydistill init`")
        ]
    broken = list(_unusable(values, ()))
    config: RunConfig | None = None
    problems: list[Problem] = []
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        problems = problems_of(error, values, locate, RunConfig)
    except RaydistillError as error:
        problems = [
            Problem(
                document.name,
                error.where or "",
                error.expected or error.summary,
                error.found or "none",
                error.next_step or "",
            )
        ]
    except Exception:
        if not broken:
            raise  # a validator met a value it didn't foresee: ours to mend, unless the value is our own mark
    for finding in cross_check(*_best_tree(values, config)):
        where = locate(finding.path, finding.on_key)
        problems.append(
            Problem(where, ".".join(map(str, finding.path)), finding.expected, finding.found, finding.next_step)
        )
    if broken:
        keys = [".".join(map(str, path)) for path in broken]
        problems = [p for p in problems if not any(p.key == key or p.key.startswith(f"{key}.") for key in keys)]
        config = None
    return config, problems


def _best_tree(values: dict[str, Any], config: RunConfig | None) -> tuple[dict[str, Any], frozenset[str]]:
    """The tree with defaults where sections are valid, as written where they aren't."""
    if config is not None:
        tree = config.tree()
        return tree, frozenset(tree)
    tree, valid = dict(values), set[str]()
    for name, info in RunConfig.model_fields.items():
        if name not in values:
            continue
        try:
            annotation: Any = Annotated[info.annotation, *info.metadata]
            adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            tree[name] = adapter.dump_python(adapter.validate_python(values[name]), mode="json")
        except Exception:  # told by the whole model's validation already
            continue
        valid.add(name)
    return tree, frozenset(valid)


def _unusable(value: Any, path: Key) -> list[Key]:
    if isinstance(value, Unusable):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in _unusable(item, (*path, key))]


def _raise(problems: list[Problem], name: str) -> None:
    if not problems:
        return
    unique = list(dict.fromkeys(problems))
    unique.sort(key=lambda problem: _order(problem.where))
    count = "One problem" if len(unique) == 1 else f"{len(unique)} problems"
    raise ConfigError(f"{count} in the configuration.", where=plain_text(name), problems=tuple(map(str, unique)))


def _order(where: str) -> tuple[int, int, str]:
    parts = where.rsplit(":", 2)
    if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
        return int(parts[1]), int(parts[2]), ""
    return 1 << 30, 0, where
