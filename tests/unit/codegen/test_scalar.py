"""Formulas as statements: the C dialect, compiled, against the interpreter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from kernel_device import Device

from flambeau.backend import Layout, Strided, dtypes
from flambeau.backend.generated.pointwise import PointwiseKernel
from flambeau.codegen import FUNCTIONS, evaluate
from flambeau.codegen.block import Block, real
from flambeau.codegen.category import Category
from flambeau.codegen.dialects import C, Cuda, OpenCL
from flambeau.codegen.scalar import Scalars

Array = np.ndarray[Any, Any]
INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]
FLOATS = ["float32", "float64"]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Compiling takes longer than running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CFLAGS", "-O0")
        yield


def computed(device: Device, formula: str, values: dict[str, Any], out: Any) -> Array:
    """The elements of a formula by a compiled kernel."""
    given = {name: device.put(x) for name, x in values.items()}
    shape = np.broadcast_shapes(*(np.shape(x) for x in values.values()))
    layout = Layout.contiguous(shape)
    target = Strided(device.backend.alloc(layout.numel * out.itemsize, 0), out, layout)
    PointwiseKernel(device.backend, "formula", formula, list(values)).out(target, *given.values())
    found: Array = device.get(target)
    return found


def pairs(edges: list[Any], what: str) -> tuple[Array, Array]:
    """Every value beside every other."""
    both = np.array(list(itertools.product(edges, edges)), what)
    return both[:, 0].copy(), both[:, 1].copy()


# ---- integers ------------------------------------------------------------------------------------
def integer_edges(what: str) -> list[int]:
    limits = np.iinfo(what)
    return sorted({limits.min, limits.min + 1, limits.max, limits.max - 1, limits.max // 2, 0, 1, 2,
                   3, 7, *(() if limits.min == 0 else (-1, -2, -3, -7))})


@pytest.mark.parametrize("what", INTEGERS)
@pytest.mark.parametrize("formula", [
    "a + b", "a - b", "a * b", "a & b", "a | b", "a ^ b", "a << b", "a >> b", "a << 3", "a >> 2",
    "-a", "~a", "abs(a)", "sign(a)", "maximum(a, b)", "minimum(a, b)", "fma(a, b, a)",
    "trunc_divide(a, b)", "floor_divide(a, b)", "fmod(a, b)", "remainder(a, b)",
    "a < b ? a : b - 1", "floor(a) + round(b) + ceil(a) + trunc(b)", "conj(a) + real(b) + imag(a)",
])  # fmt: skip
def test_integers(c_device: Device, formula: str, what: str) -> None:
    a, b = pairs(integer_edges(what), what)
    with np.errstate(all="ignore"):
        want = evaluate(formula, {"a": a, "b": b}, what)
    found = computed(c_device, formula, {"a": a, "b": b}, getattr(dtypes, what))
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("what", INTEGERS)
def test_powers_of_integers(c_device: Device, what: str) -> None:
    exponents = [e for e in integer_edges(what) if e < 100]
    a, b = np.meshgrid(np.array(integer_edges(what), what), np.array(exponents, what))
    with np.errstate(all="ignore"):
        want = evaluate("pow(a, b)", {"a": a, "b": b}, what)
    np.testing.assert_array_equal(
        computed(c_device, "pow(a, b)", {"a": a, "b": b}, getattr(dtypes, what)), want)


@pytest.mark.parametrize("what", ["uint8", "int64", *FLOATS])
@pytest.mark.parametrize("formula", [
    "a < b", "a <= b", "a > b", "a >= b", "a == b", "a != b", "!a", "a && b", "a || b",
    "isnan(a)", "isinf(b)", "(a < b) == (b > a)", "a < b && !(a == 0) || b == 1",
])
def test_bools_as_results(c_device: Device, formula: str, what: str) -> None:
    edges = integer_edges(what) if what in INTEGERS else [*SPECIAL, 1.5]
    a, b = pairs(edges, what)
    want = evaluate(formula, {"a": a, "b": b}, what)
    found = computed(c_device, formula, {"a": a, "b": b}, dtypes.bool)
    np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("formula", ["a & b", "a | b", "a ^ b", "~a", "a ? b : !b", "a != b"])
def test_bools(c_device: Device, formula: str) -> None:
    a, b = pairs([False, True], "bool")
    want = evaluate(formula, {"a": a, "b": b}, "bool")
    np.testing.assert_array_equal(
        computed(c_device, formula, {"a": a, "b": b}, dtypes.bool), want)


# ---- floats --------------------------------------------------------------------------------------
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-30, -1e30]
EXACT = [
    "a + b", "a - b", "a * b", "a / b", "-a", "abs(a)", "sign(a)", "floor(a)", "ceil(a)",
    "round(a)", "trunc(a)", "sqrt(a)", "fmod(a, b)", "fma(a, b, a)", "maximum(a, b)",
    "minimum(a, b)", "remainder(a, b)", "trunc_divide(a, b)", "floor_divide(a, b)", "conj(a)",
    "real(a)", "a < b ? a : b", "x = a + b; y = x * x; y - b",
]


@pytest.mark.parametrize("what", FLOATS)
@pytest.mark.parametrize("formula", EXACT)
def test_exact_operations_of_floats(c_device: Device, formula: str, what: str) -> None:
    random = np.random.default_rng(0).normal(size=20).tolist()
    a, b = pairs([*SPECIAL, *random], what)
    with np.errstate(all="ignore"):
        want = evaluate(formula, {"a": a, "b": b}, what)
    found = computed(c_device, formula, {"a": a, "b": b}, getattr(dtypes, what))
    np.testing.assert_array_equal(found, want)
    if "(" not in formula or formula.startswith(("abs", "conj")):
        ordered = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(found)[ordered], np.signbit(want)[ordered])


APPROXIMATE = sorted(
    name for name, f in FUNCTIONS.items()
    if f.arity == 1 and f.rule(Category.BOOL) is Category.FLOATING and name != "sqrt")


@pytest.mark.parametrize("what", FLOATS)
@pytest.mark.parametrize("name", [*APPROXIMATE, "pow", "atan2"])
def test_functions_of_floats(c_device: Device, name: str, what: str) -> None:
    random = np.random.default_rng(0)
    values = [*SPECIAL, *random.normal(size=30), *random.uniform(-40, 40, 30)]
    a, b = pairs(values[:40], what) if name in ("pow", "atan2") else (np.array(values, what), None)
    given = {"a": a} if b is None else {"a": a, "b": b}
    formula = f"{name}({', '.join(given)})"
    with np.errstate(all="ignore"):
        want = evaluate(formula, given, what)
    found = computed(c_device, formula, given, getattr(dtypes, what))
    eps = np.finfo(what).eps
    np.testing.assert_allclose(found, want, rtol=8 * eps, atol=8 * eps * (name == "lgamma"))


def test_every_function_is_tested() -> None:
    integers = {"floor", "ceil", "round", "trunc", "abs", "sign", "maximum", "minimum", "remainder",
                "fmod", "floor_divide", "trunc_divide", "fma", "real", "imag", "conj"}
    assert integers | {*APPROXIMATE, "sqrt", "pow", "atan2", "isnan", "isinf"} == FUNCTIONS.keys()


# ---- complex numbers -----------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["complex64", "complex128"])
@pytest.mark.parametrize("formula", [
    "a + b", "a - b", "a * b", "a / b", "-a", "conj(a)", "exp(a)", "log(a)", "sqrt(a)", "sin(a)",
    "cos(a)", "tanh(a)", "pow(a, b)", "a == b ? a : b * 2", "1 / (1 + exp(-a))",
])
def test_complex_numbers(c_device: Device, formula: str, what: str) -> None:
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(2, 50)) + 1j * random.normal(size=(2, 50))).astype(what)
    want = evaluate(formula, {"a": a, "b": b}, what)
    found = computed(c_device, formula, {"a": a, "b": b}, getattr(dtypes, what))
    np.testing.assert_allclose(found, want, rtol=30 * np.finfo(what).eps)


@pytest.mark.parametrize("formula", ["abs(a)", "real(a)", "imag(a)"])
def test_parts_of_complex_numbers(c_device: Device, formula: str) -> None:
    a = np.array([3 + 4j, -1j, 0, complex(np.inf, 1), complex(1e30, -1e30)], np.complex64)
    want = evaluate(formula, {"a": a}, "complex64")
    np.testing.assert_allclose(computed(c_device, formula, {"a": a}, dtypes.float32), want, 1e-6)


# ---- what is mixed -------------------------------------------------------------------------------
@pytest.mark.parametrize("formula", ["a * m", "m ? a : -a", "a + 1", "2 * a - 0.5", "a - true"])
def test_categories_meet(c_device: Device, formula: str) -> None:
    a, m = np.linspace(-2, 2, 6, dtype=np.float32), np.arange(6) % 2 == 0
    want = evaluate(formula, {"a": a, "m": m}, "float32")
    np.testing.assert_array_equal(
        computed(c_device, formula, {"a": a, "m": m}, dtypes.float32), want)


@pytest.mark.parametrize("what", INTEGERS)
@pytest.mark.parametrize("number", [300, -1, 2**63 - 1, True])
def test_numbers_wrap_to_the_width_of_the_integers(
    c_device: Device, what: str, number: int
) -> None:
    a = np.array([1, 2, 3], what)
    want = (a.astype(object) + int(number)).tolist()
    bits = 8 * a.itemsize
    found = computed(c_device, "a + b", {"a": a, "b": number}, getattr(dtypes, what))
    assert [int(x) % 2**bits for x in found] == [x % 2**bits for x in want]


# ---- texts ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_a_function_is_defined_once_and_after_what_it_needs(dialect: Any) -> None:
    block = Block(dialect)
    scalars = Scalars(block, "f32", "i32", {"x": real("f32", "x_in")})
    scalars.evaluate("tanh(x) + tanh(x * 2) + exp(x)")
    names = list(block.functions)
    assert names.count("fb_tanh_f32") == 1
    for name, text in block.functions.items():
        for other in names[names.index(name) + 1:]:
            assert f"{other}(" not in text, f"{name} needs {other}, which is defined later"


def test_signed_sums_go_through_unsigned_numbers() -> None:
    block = Block(C())
    scalars = Scalars(block, "f32", "i32", {n: real("i32", n) for n in "ab"})
    assert scalars.evaluate("a + b").text == "((int)((unsigned int)a + (unsigned int)b))"
    assert scalars.evaluate("a & b").text == "(a & b)"


@pytest.mark.parametrize(("formula", "register", "text"), [
    ("300", "u8", "44"), ("200", "i8", "(-56)"), ("-2147483648", "i32", None), ("inf", "f32", None),
])
def test_literals_fit_their_type(formula: str, register: Any, text: str | None) -> None:
    scalars = Scalars(Block(C()), "f32", register if register[0] in "iu" else "i32", {})
    found = scalars.evaluate(formula).text
    assert text is None or found == text
    assert "inf" not in found
