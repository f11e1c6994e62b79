from __future__ import annotations

import pytest
from pydantic import ValidationError

from foundation.model import PluginOptions, StrictModel


class Small(StrictModel):
    rate: float = 0.5


def test_a_model_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Small().rate = 1.0  # type: ignore[misc]


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Small.model_validate({"rat": 0.5})


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(ValidationError):
        Small(rate=bad)


def test_the_printed_error_hides_what_was_typed() -> None:
    with pytest.raises(ValidationError) as caught:
        Small.model_validate({"rate": "CANARY-secret"})
    assert "CANARY" not in str(caught.value)


def test_options_of_a_plugin_need_their_kind() -> None:
    with pytest.raises(ValidationError):
        PluginOptions.model_validate({})
