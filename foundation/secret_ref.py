"""A secret in a configuration is a reference, never a value: `env:NAME` or `file:PATH`.

The reference is what is stored, printed, pickled and sent to workers; `resolve` reads the secret where it is needed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from foundation.errors import ConfigError

_FORM = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:\S[^\0\n]*")


class SecretRef(str):
    """Where a secret is kept. Only the two forms can be made; text of another form may be a secret and isn't kept."""

    __slots__ = ()

    def __new__(cls, text: str) -> SecretRef:
        if not _FORM.fullmatch(text):
            raise ConfigError("A secret must be a reference.", expected="env:NAME or file:PATH", found="another text")
        return super().__new__(cls, text)

    def resolve(self, base_dir: Path) -> str:
        """Reads the secret. Raises `ConfigError`, which names the reference, when it isn't there."""
        kind, _, name = self.partition(":")
        if kind == "env":
            if (value := os.environ.get(name)) is not None:
                return value
            raise ConfigError("A secret is not set.", expected=f"the environment variable {name}", where=str(self))
        try:
            return (base_dir / name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            # The message of a decoding error shows bytes of the file.
            raise ConfigError("A secret can't be read.", found=type(error).__name__, where=str(self)) from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._accept, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^(?:{_FORM.pattern})$", "description": "env:NAME or file:PATH"}

    @classmethod
    def _accept(cls, value: Any) -> SecretRef:
        if isinstance(value, str) and _FORM.fullmatch(value):
            return cls(value)
        step = "put the secret into the environment or a file and refer to it"
        raise PydanticCustomError("secret_ref", "a reference, env:NAME or file:PATH", {"step": step})
