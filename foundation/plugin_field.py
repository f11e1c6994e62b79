"""A configuration field whose `kind:` picks a plug-in and whose other keys are that plug-in's options.

    class Term(StrictModel):
        method: Annotated[PluginOptions, PluginField("method")]

The value is validated by the plug-in's own `Options` model, which lives in the plug-in's file. A bare string is short
for `{kind: string}`. A problem inside the options is raised as an `OptionsError` around the options' own
`ValidationError`; `foundation.problems` unfolds it, so that every problem keeps its full place.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from foundation import registry
from foundation.errors import PluginError
from foundation.model import PluginOptions


class OptionsError(ValueError):
    """The options of a chosen plug-in are wrong: `model` is its `Options`, `error` what validating them raised."""

    def __init__(self, model: type[BaseModel], error: ValidationError) -> None:
        super().__init__(f"{error.error_count()} problem(s) in the options")
        self.model = model
        self.error = error


class PluginField:
    """Annotation that turns `{kind: NAME, ...}` into the `Options` of the plug-in NAME of the given plug-in kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._choose,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda options: options.model_dump() if isinstance(options, BaseModel) else options
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        choices: list[JsonSchemaValue] = []
        for name in registry.names(self.kind):
            choice = _inline(registry.load(self.kind, name).Options.model_json_schema())
            choice.setdefault("properties", {})["kind"] = {"const": name}
            choice["required"] = sorted({*choice.get("required", []), "kind"})
            choices.append(choice)
            if choice["required"] == ["kind"]:
                choices.append({"const": name})
        return {"oneOf": choices} if choices else {"type": "object"}

    def _choose(self, value: Any) -> PluginOptions:
        if isinstance(value, PluginOptions):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
            raise PydanticCustomError("plugin_kind", "expected a mapping with `kind`", {})
        try:
            module = registry.load(self.kind, value["kind"])
        except PluginError as error:
            expected = f"a known {self.kind}: {error.expected}" if error.expected else f"a known {self.kind}"
            facts = {"expected": expected, "step": error.next_step or "see `raydistill plugins`", "why": error.summary}
            raise PydanticCustomError("plugin_unknown", "{why}", facts) from None
        model: type[PluginOptions] = module.Options
        try:
            return model.model_validate(value)
        except ValidationError as error:
            raise OptionsError(model, error) from None


def _inline(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Returns the schema without references: a reference into its own `$defs` would dangle inside another schema."""
    parts = schema.pop("$defs", {})

    def walk(node: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [walk(item, inside) for item in node]
        if not isinstance(node, dict):
            return node
        if isinstance(reference := node.get("$ref"), str):
            name = reference.rpartition("/")[2]
            rest = {key: walk(value, inside) for key, value in node.items() if key != "$ref"}
            return rest if name in inside else {**walk(parts.get(name, {}), (*inside, name)), **rest}
        return {key: walk(value, inside) for key, value in node.items()}

    inlined: JsonSchemaValue = walk(schema, ())
    return inlined
