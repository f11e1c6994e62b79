"""`raydistill cache ls | show`: what the label cache holds."""

from __future__ import annotations

import json as json_module
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from foundation.errors import ConfigError, RaydistillError
from orchestrator.cli import options, output

_DIGEST = re.compile(r"[0-9a-f]{64}")
app = typer.Typer(help="What the label cache holds.", no_args_is_help=True, rich_markup_mode=None)
Where = Annotated[Path, typer.Argument(help="A configuration, or the cache's folder.", show_default=False)]


@app.command("ls")
def ls(where: Where, plugin: options.Plugins = None, json: options.Json = False) -> None:
    """One line per entry: rows, bytes, teacher."""
    cache = _open(where, plugin)
    rows = [_row(entry) for entry in cache.entries()]
    damaged = [error.to_dict() for error in cache.damaged_entries()]
    lines = [f"{row['id'][:12]}  {row['rows']:>9} rows  {_size(row['bytes']):>9}  {row['teacher']}" for row in rows]
    lines += [f"damaged: {error['summary']} {error.get('where', '')}" for error in damaged]
    output.result({"entries": rows, "damaged": damaged}, "\n".join(lines) or "the cache is empty")


@app.command("show")
def show(
    where: Where,
    entry: Annotated[str, typer.Argument(help="An entry's id, or the first digits of it.", show_default=False)],
    plugin: options.Plugins = None,
    json: options.Json = False,
) -> None:
    """Everything about one entry. The parts of its key and what is committed."""
    cache = _open(where, plugin)
    found = [each for each in cache.entries() if each.id.startswith(entry)]
    if len(found) != 1:
        known = ", ".join(each.id[:12] for each in cache.entries()) or "none"
        summary = "No entry has this id." if not found else "Several entries' ids start like this."
        raise ConfigError(summary, expected=known, found=entry, next_step="see `raydistill cache ls`")
    row = _row(found[0])
    facts = {**row, "key": found[0].key.parts(), "shards": row["shards"]}
    lines = _indented(row, "")
    output.result(facts, "\n".join([*lines, "key:", *_indented(facts["key"], "  ")]))


def _open(where: Path, plugins: list[Path] | None) -> Any:
    from foundation import registry
    from teachers.cache.cache import LabelCache
    from teachers.cache.config import CacheConfig

    if where.is_dir():
        for path in plugins or []:
            registry.add_guest_file(path)
        return LabelCache.open(CacheConfig(root=str(where.resolve())), where, create=False)
    if not where.exists():
        step = "labels are made by `raydistill label CONFIG` or `raydistill run CONFIG`"
        raise ConfigError(
            "There is nothing.", expected="a cache's folder or a configuration", where=where, next_step=step
        )
    from orchestrator.config.load import load_config

    loaded = load_config(where, [], plugins or [])
    return LabelCache.open(loaded.config.cache, loaded.base_dir, create=False)


def _row(entry: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": entry.id,
        "teacher": _teacher(entry.key.teacher),
        "codec": entry.key.output.get("codec"),
    }
    try:
        committed = entry.committed()
    except RaydistillError as error:
        return {**row, "rows": 0, "bytes": 0, "shards": 0, "quarantined": 0, "damaged": error.summary}
    facts = {"rows": committed.rows, "bytes": committed.bytes, "shards": committed.shards}
    return {**row, **facts, "quarantined": len(committed.quarantined), "generation": committed.generation}


def _teacher(card: dict[str, Any]) -> str:
    named = (card.get("architecture") or {}).values()
    parts = [value[:12] if _DIGEST.fullmatch(value) else value for value in named if isinstance(value, str)]
    classes = card.get("classes") or []
    shown = ", ".join([*map(str, classes[:5]), *(["..."] if len(classes) > 5 else [])])
    return f"{' '.join(parts)} ({len(classes)} classes: {shown})"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _indented(value: Any, blanks: str) -> list[str]:
    lines = []
    for name, item in value.items():
        if isinstance(item, dict) and item:
            lines += [f"{blanks}{name}:", *_indented(item, blanks + "  ")]
        else:
            lines.append(f"{blanks}{name}: {item if isinstance(item, str) else json_module.dumps(item, default=str)}")
    return lines
