"""`kind:` picks a plug-in, the other keys are its options."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import ValidationError

from foundation.model import PluginOptions, StrictModel
from foundation.plugin_field import OptionsError, PluginField


class Holder(StrictModel):
    lens: Annotated[PluginOptions, PluginField("lens")]
    more: tuple[Annotated[PluginOptions, PluginField("lens")], ...] = ()


def test_the_plugin_validates_its_own_options() -> None:
    holder = Holder.model_validate({"lens": {"kind": "temperature", "value": 3}})
    assert type(holder.lens).__module__ == "pipelines.lenses.temperature"
    assert holder.model_dump(mode="json")["lens"] == holder.lens.model_dump(mode="json")
    assert Holder.model_validate(holder.model_dump()) == holder


def test_a_word_is_short_for_its_kind() -> None:
    class Method(StrictModel):
        method: Annotated[PluginOptions, PluginField("method")]

    assert Method.model_validate({"method": "kl"}) == Method.model_validate({"method": {"kind": "kl"}})


@pytest.mark.parametrize(
    "value", [None, 3, [], {}, {"kind": 3}, {"kind": ""}, "", "no_such", {"kind": "../x"}, {"kind": None}]
)
def test_anything_else_is_a_validation_error(value: Any) -> None:
    with pytest.raises(ValidationError):
        Holder.model_validate({"lens": value})


def test_option_errors_carry_their_model() -> None:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"lens": {"kind": "temperature", "odd": 1}})
    (item,) = caught.value.errors()
    error = item["ctx"]["error"]
    assert isinstance(error, OptionsError) and "value" in error.model.model_fields


def test_the_schema_offers_every_plugin_without_dangling_references() -> None:
    choices = Holder.model_json_schema()["properties"]["lens"]["oneOf"]
    kinds = {choice["properties"]["kind"]["const"] for choice in choices if "properties" in choice}
    assert "temperature" in kinds
    assert "$ref" not in str(choices) and "$defs" not in str(choices)
