"""`raydistill plugins [KIND [NAME]]`: what there is; for one plug-in its options, needs and source."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from foundation import registry
from orchestrator.cli import options, output

NAME = "plugins"


def verb(
    kind: Annotated[str | None, typer.Argument(help="A kind, e.g. method.", show_default=False)] = None,
    name: Annotated[str | None, typer.Argument(help="A plug-in of that kind.", show_default=False)] = None,
    plugin: options.Plugins = None,
    json: options.Json = False,
) -> None:
    """What plug-ins there are. For one of them its options, needs and source."""
    for path in plugin or []:
        registry.add_guest_file(path)
    if kind is None:
        table = {each: registry.names(each) for each in registry.ROOMS}
        output.result(
            {"plugins": table}, "\n".join(f"{each:10} {', '.join(found) or '-'}" for each, found in table.items())
        )
    elif name is None:
        rows = [_summary(kind, each) for each in registry.names(kind)]
        width = max((len(row["name"]) for row in rows), default=0)
        lines = [f"{row['name']:{width}}  {row['summary']}  [{row['origin']}]" for row in rows]
        output.result(
            {"kind": kind, "plugins": rows}, "\n".join(lines) or f"no plug-in of kind {kind}; give one with --plugin"
        )
    else:
        facts = _details(kind, name)
        output.result(facts, _text(facts))


def _summary(kind: str, name: str) -> dict[str, Any]:
    module = registry.load(kind, name)
    first = (inspect.getdoc(module) or "").strip().split("\n")[0]
    return {"name": name, "summary": first, "origin": registry.origin(kind, name)}


def _details(kind: str, name: str) -> dict[str, Any]:
    module = registry.load(kind, name)
    needs = getattr(module, "NEEDS", None)
    return {
        **_summary(kind, name),
        "kind": kind,
        "doc": inspect.getdoc(module) or "",
        "options": _options(module),
        "options_doc": inspect.cleandoc(getattr(getattr(module, "Options", None), "__doc__", None) or ""),
        "needs": None if needs is None else _needs(needs),
        "source": _source(module),
    }


def _options(module: ModuleType) -> list[dict[str, Any]]:
    from orchestrator.config.reference import field_rows

    model = getattr(module, "Options", None)
    return [] if model is None else field_rows(model)


def _needs(needs: Any) -> str:
    signals = [each.name if each.layer is None else f"{each.name} of {each.layer}" for each in needs.signals]
    return (
        ", ".join([*(["true labels"] if needs.labels else []), *(f"teachers' {name}" for name in signals)]) or "nothing"
    )


def _unmarked(line: str) -> str:
    """Without the marks that the reference's tables need."""
    return line.replace("\\|", "|").replace("`", "").replace("*required*", "(required)")


def _source(module: ModuleType) -> str:
    path = Path(str(module.__file__))
    home = Path(registry.__file__).resolve().parent.parent
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)


def _text(facts: dict[str, Any]) -> str:
    lines = [f"{facts['kind']} {facts['name']}  [{facts['origin']}]", "", facts["doc"], ""]
    lines += [facts["options_doc"], ""] if facts["options_doc"] else []
    if facts["options"]:
        lines.append("options:")
        lines += [_unmarked(f"  {row['key']}: {row['type']} = {row['default']}") for row in facts["options"]]
    if facts["needs"]:
        lines.append(f"needs: {facts['needs']}")
    return "\n".join([*lines, f"source: {facts['source']}"])
