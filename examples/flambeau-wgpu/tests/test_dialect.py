"""Texts of WGSL; no adapter is needed."""

import numpy as np
import pytest
from conftest import one_element
from flambeau_wgpu.dialect import Wgsl, argument_words
from flambeau_wgpu.library import functions, needed_by

from flambeau.backend.generated import Parameter, real

WGSL = Wgsl()


@pytest.mark.parametrize(("value", "register", "text"), [
    (True, "bool", "true"),
    (-5, "i32", "(-5i)"),
    (-(2**31), "i32", "(-2147483647i - 1i)"),
    (200, "u8", "200u"),
    (-1, "i64", "vec2<u32>(4294967295u, 4294967295u)"),
    (2**32 + 3, "i64", "vec2<u32>(3u, 1u)"),
    (0.1, "f32", "0.1f"),
    (-1e10, "f32", "(-1e+10f)"),
    (float("inf"), "f32", "wg_constant(2139095040u)"),
    (1e300, "f32", "wg_constant(2139095040u)"),
    (0.0, "f32", "wg_constant(0u)"),
    (1e-45, "f32", "wg_constant(1u)"),
])
def test_literals(value, register: str, text: str) -> None:
    assert WGSL.literal(value, register) == text


def test_what_wgsl_has_not_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="no f64"):
        WGSL.type("f64")
    with pytest.raises(NotImplementedError, match="32 bits"):
        WGSL.position("item", "i64")
    with pytest.raises(NotImplementedError, match="no atomic addition to f16"):
        WGSL.atomic_add(Parameter("out", "f16", True, True), "0", "x")


def test_narrow_casts_wrap() -> None:
    assert WGSL.cast("x", "i32", "i8") == "((i32(x) << 24u) >> 24u)"
    assert WGSL.cast("x", "f32", "u8") == "(u32(i32(x)) & 0xffu)"
    assert WGSL.cast("x", "i64", "i32") == "i32(x.x)"


def test_arguments_are_words() -> None:
    parameters = (Parameter("out", "f32", True, True), Parameter("n", "i32", False),
                  Parameter("big", "i64", False), Parameter("x", "f32", False))
    assert argument_words(parameters) == {"n": 2, "big": 3, "x": 5, "": 6}


def test_written_halves_are_atomic_words_and_read_ones_are_not() -> None:
    text = one_element(lambda k, v: v[0], np.float16, [np.zeros(1, np.float16)]).text
    assert "b_out: array<atomic<u32>>" in text and "b_x0: array<u32>" in text
    assert "atomicCompareExchangeWeak(&b_out[at >> 1u]" in text


def test_a_kernel_has_the_functions_that_it_needs_and_no_others() -> None:
    text = one_element(
        lambda k, v: real("i64", k.dialect.binary("/", v[0].text, v[0].text, "i64")), np.int64,
        [np.zeros(1, np.int64)]).text
    assert "fn wg_u64_divide" in text and "fn wg_wide_sub" in text
    assert "fn wg_fmod" not in text and "wg_has_fma" not in text


def test_each_function_of_the_library_stands_behind_those_that_it_calls() -> None:
    for name in functions():
        found = "\n".join(needed_by(name))
        assert found.rstrip().endswith(functions()[name])
