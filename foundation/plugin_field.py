"""A configuration field whose `kind:` picks a plug-in and whose other keys are that plug-in's options.

    class Term(StrictModel):
        method: Annotated[PluginOptions, PluginField("method")]

The value is validated by the plug-in's own `Options` model, which lives in the plug-in's file. A bare string is short
for `{kind: string}`. A problem inside the options is raised as a nested `ValidationError`; `foundation.problems`
unfolds it, so that every problem keeps its full place.
"""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from foundation import registry
from foundation.errors import PluginError
from foundation.model import PluginOptions


class PluginField:
    """Annotation that turns `{kind: NAME, ...}` into the `Options` of the plug-in NAME of the given plug-in kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._choose,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda options: options.model_dump()),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # References into a sub-schema's own $defs would dangle, so each option model is generated inline.
        choices = []
        for name in registry.names(self.kind):
            choice = registry.load(self.kind, name).Options.model_json_schema(ref_template="#/$defs/{model}")
            choice.setdefault("properties", {})["kind"] = {"const": name}
            choices.append(choice)
        return {"oneOf": choices} if choices else {"type": "object"}

    def _choose(self, value: Any) -> PluginOptions:
        if isinstance(value, PluginOptions):
            return value
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
            raise PydanticCustomError("plugin_kind", "expected a mapping with 'kind'", {})
        try:
            module = registry.load(self.kind, value["kind"])
        except PluginError as error:
            text = f"{error.summary} {error.found}; known: {error.expected}; {error.next_step or ''}"
            raise PydanticCustomError("plugin_unknown", "{text}", {"text": text}) from None
        options: PluginOptions = module.Options.model_validate(value)
        return options
