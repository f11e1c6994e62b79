"""The stated bounds of the dense codec, and what it declares it can't hold."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from teachers.cache.codec import Codec
from teachers.cache.codecs.dense import Options

FP16, FP32 = Codec(Options(dtype="fp16")), Codec(Options(dtype="fp32"))


def round_trip(codec: Codec, logits: np.ndarray) -> np.ndarray:
    return codec.decode(codec.encode(logits))


@given(arrays(np.float32, (5, 6), elements=st.floats(-30000, 30000, width=32)))
@hypothesis_settings(max_examples=100)
def test_errors_stay_within_the_bound(logits: np.ndarray) -> None:
    wide = logits.astype(np.float64)
    distance = np.abs(wide - wide.max(axis=1, keepdims=True))
    for codec, relative, absolute in ((FP16, 2.0**-11, 2.0**-25), (FP32, 2.0**-24, 0.0)):
        assert codec.representable(logits).all()
        columns = codec.encode(logits)
        assert codec.sound(columns)
        stored = -columns["logits"].astype(np.float64)
        assert (np.abs(stored - distance) <= relative * distance + absolute).all()
        restored = codec.decode(columns).astype(np.float64)
        bound = relative * distance + absolute + 2.0**-23 * (np.abs(wide) + distance)
        assert (np.abs(restored - wide) <= bound).all()


def test_the_row_maximum_comes_back_exactly() -> None:
    logits = np.random.default_rng(0).normal(0, 50, (500, 7)).astype(np.float32)
    for codec in (FP16, FP32):
        restored = round_trip(codec, logits)
        assert restored.dtype == np.float32
        assert np.array_equal(restored.max(axis=1), logits.max(axis=1))
        assert np.array_equal(restored.argmax(axis=1), logits.argmax(axis=1))


def test_a_large_constant_costs_fp16_nothing_near_the_maximum() -> None:
    logits = np.array([[4096.0, 4095.875, 4000.0]], np.float32)
    assert np.array_equal(round_trip(FP16, logits), logits)


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_what_is_not_finite_is_not_representable(dtype: Literal["fp16", "fp32"]) -> None:
    logits = np.array([[1, np.nan, 2], [np.inf, 0, 1], [-np.inf, 0, 1], [1, 2, 3], [np.nan] * 3], np.float32)
    expected = np.isfinite(logits)
    assert np.array_equal(Codec(Options(dtype=dtype)).representable(logits), expected)


def test_fp16_reaches_65504_below_the_maximum_and_fp32_further() -> None:
    logits = np.array([[0.0, -65504.0, -65505.0], [7e4, 4497.0, 4400.0]], np.float32)
    assert FP16.representable(logits).tolist() == [[True, True, False], [True, True, False]]
    assert FP32.representable(logits).all()
    assert not FP32.representable(np.array([[3e38, -3e38]], np.float32)).all()
    assert not FP16.representable(np.array([[1e300, 0.0]])).all()


def test_values_that_encode_never_writes_are_not_sound() -> None:
    good = FP16.encode(np.array([[1.0, 2.0], [3.0, 0.0]]))
    assert FP16.sound(good)
    for name, row, value in (
        ("logits", (0, 0), np.nan),
        ("logits", (0, 0), 0.5),
        ("logits", (0, 1), -1),
        ("max", 1, np.inf),
    ):
        bad = {column: values.copy() for column, values in good.items()}
        bad[name][row] = value
        assert not FP16.sound(bad)


def test_options_travel_through_the_key() -> None:
    assert Codec.from_dict(FP32.options.model_dump()) == FP32
