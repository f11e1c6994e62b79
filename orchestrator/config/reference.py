"""The JSON schema of a configuration, for editors, and the reference for people, both made from the models."""

from __future__ import annotations

import inspect
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from foundation import registry
from foundation.plugin_field import PluginField
from foundation.secret_ref import SecretRef
from orchestrator.config.root import RunConfig

_WORDS: dict[Any, str] = {
    JsonValue: "any value",
    Any: "any value",
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    SecretRef: "secret",
}
_KINDS_WITH_OPTIONS = ("source", "backend", "codec", "student", "method", "fusion", "weighting", "lens")


def json_schema() -> dict[str, Any]:
    """The schema of the whole file; plug-ins of this installation and of `--plugin` are among the choices."""
    schema = RunConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "raydistill"}


def markdown_reference() -> str:
    """`docs/config_reference.md`: every section, key, type and default, then every plug-in's options."""
    out = [
        "# Configuration reference",
        "",
        "Made by `raydistill schema --markdown`; change the models, not this file.",
        "",
        "A file is YAML 1.2, at most 1 MiB, without aliases, anchors, tags or duplicate keys.",
        "Paths are relative to it.",
        "A key of type *plug-in* takes `{kind: NAME, ...options}`, or just `NAME`.",
        "",
    ]
    out += _section("Top level", RunConfig)
    for path, model in _models(RunConfig):
        out += _section(f"`{path}`{_own_kind(model)}", model)
    out += ["## Plug-ins", ""]
    for kind in _KINDS_WITH_OPTIONS:
        for name in registry.names(kind):
            if registry.origin(kind, name) == "built-in":
                out += _plugin(kind, name)
    return "\n".join(out)


def field_rows(model: type[BaseModel]) -> list[dict[str, str]]:
    """Key, type in words and default of every field of a model; `kind` is left out."""
    return [
        {"key": name, "type": type_text(info.annotation, info), "default": _default(info)}
        for name, info in model.model_fields.items()
        if name != "kind" or (get_origin(info.annotation) is Literal and len(get_args(info.annotation)) > 1)
    ]


def type_text(annotation: Any, info: FieldInfo | None = None) -> str:
    """A type in plain words."""
    if info is not None and (plugin := _plugin_kind(info.metadata)):
        return f"plug-in: {plugin}"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        plugin = _plugin_kind(arguments[1:])
        return f"plug-in: {plugin}" if plugin else type_text(arguments[0])
    if annotation is type(None):
        return "null"
    if origin is Literal:
        return " \\| ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_text(branch) for branch in arguments))
    if origin is dict:
        return f"mapping of name to {type_text(arguments[1])}"
    if origin in (list, tuple, set, frozenset):
        return f"list of {type_text(arguments[0])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return f"mapping ({_name(annotation)})"
    return _WORDS.get(annotation, getattr(annotation, "__name__", "value"))


def _plugin_kind(metadata: Any) -> str | None:
    return next((item.kind for item in metadata if isinstance(item, PluginField)), None)


def _section(title: str, model: type[BaseModel]) -> list[str]:
    lines = [f"## {title}", "", *_doc(model), "| key | type | default |", "|---|---|---|"]
    lines += [f"| `{row['key']}` | {row['type']} | {row['default']} |" for row in field_rows(model)]
    return [*lines, ""]


def _plugin(kind: str, name: str) -> list[str]:
    module = registry.load(kind, name)
    summary = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
    rows = field_rows(module.Options)
    lines = [f"### {kind} `{name}`", "", summary, ""]
    if rows:
        lines += ["| option | type | default |", "|---|---|---|"]
        lines += [f"| `{row['key']}` | {row['type']} | {row['default']} |" for row in rows]
        lines.append("")
    for path, inner in _models(module.Options):
        lines += [f"`{path}`:", "", *_section("", inner)[2:]]
    return lines


def _own_kind(model: type[BaseModel]) -> str:
    """Which `kind` chooses this model, where it is one branch of a union."""
    kinds = get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()
    return f", kind `{kinds[0]}`" if len(kinds) == 1 else ""


def _doc(model: type[BaseModel]) -> list[str]:
    """The model's docstring; an indented list of attributes becomes a list."""
    lines = []
    for line in (inspect.getdoc(model) or "").split("\n"):
        if line.strip() == "Attributes:":
            continue
        if line.startswith("    ") and ": " in line and not line.startswith("     "):
            name, _, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}")
        else:
            lines.append(line)
    return [*lines, ""]


def _models(model: type[BaseModel], prefix: str = "") -> list[tuple[str, type[BaseModel]]]:
    found = []
    for name, info in model.model_fields.items():
        for suffix, inner in _inside(info.annotation):
            path = f"{prefix}{name}{suffix}"
            found.append((path, inner))
            found += _models(inner, f"{path}.")
    return found


def _inside(annotation: Any) -> list[tuple[str, type[BaseModel]]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return [] if _plugin_kind(arguments[1:]) else _inside(arguments[0])
    if origin is dict:
        return [(f".<name>{suffix}", model) for suffix, model in _inside(arguments[1])]
    if origin in (list, tuple, Union, types.UnionType):
        return [pair for branch in arguments for pair in _inside(branch)]
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel) and "kind" not in _required(annotation):
        return [("", annotation)]
    return []


def _required(model: type[BaseModel]) -> set[str]:
    return {name for name, info in model.model_fields.items() if info.is_required()}


def _name(model: type[BaseModel]) -> str:
    return model.__name__.removesuffix("Config")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "*required*"
    value = info.get_default(call_default_factory=True)
    return "*computed*" if value is PydanticUndefined else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        inner = ", ".join(f"{name}: {_plain(item)}" for name, item in value.model_dump().items())
        return f"{{{inner}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_plain(item)}' for name, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_plain(item) for item in value)}]"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value)
