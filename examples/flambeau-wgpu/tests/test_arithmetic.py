"""What WGSL has not, or does not promise, computed as NumPy computes it."""

import operator
from fractions import Fraction

import numpy as np
import pytest

from flambeau.backend.generated import real

EDGES = np.array([0, 1, -1, 2, 7, -9, 2**31, -(2**31), 2**32 - 1, 2**32, 2**63 - 1, -(2**63)])


def pairs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    wide = rng.integers(-(2**63), 2**63 - 1, 500)
    narrow = rng.integers(-(2**20), 2**20, 500)
    a, b = (x.ravel() for x in np.meshgrid(EDGES, EDGES))
    return np.concatenate([a, wide, wide, narrow]), np.concatenate([b, wide[::-1], narrow, wide])


def floats(count: int, reach: int = 30) -> np.ndarray:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((3, count)) * np.exp2(rng.integers(-reach, reach, (3, count)))
    return values.astype(np.float32)


@pytest.mark.parametrize("name", ["+", "-", "*", "&", "|", "^"])
def test_64_bit_integers_wrap(evaluate, name: str) -> None:
    function = {"+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_,
                "|": operator.or_, "^": operator.xor}[name]
    a, b = pairs()
    found = evaluate(lambda k, v: real("i64", k.dialect.binary(name, v[0].text, v[1].text, "i64")),
                     np.int64, a, b)
    np.testing.assert_array_equal(found, function(a, b))


def test_64_bit_integers_divide_towards_zero(evaluate) -> None:
    a, b = pairs()
    a, b = a[(b != 0) & (b != -1)], b[(b != 0) & (b != -1)]
    quotient = evaluate(lambda k, v: real("i64", k.dialect.binary(
        "/", v[0].text, v[1].text, "i64")), np.int64, a, b)
    rest = evaluate(lambda k, v: real("i64", k.dialect.binary(
        "%", v[0].text, v[1].text, "i64")), np.int64, a, b)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(rest, np.fmod(a, b))
        np.testing.assert_array_equal(quotient * b + rest, a)


@pytest.mark.parametrize("name", ["<", "<=", ">", ">=", "==", "!="])
def test_64_bit_integers_compare(evaluate, name: str) -> None:
    a, b = pairs()
    found = evaluate(lambda k, v: real("bool", k.dialect.compare(
        name, v[0].text, v[1].text, "i64")), np.bool_, a, b)
    function = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
                "==": np.equal, "!=": np.not_equal}[name]
    np.testing.assert_array_equal(found, function(a, b))


def test_64_bit_integers_shift_by_every_count(evaluate) -> None:
    a, counts = (x.ravel() for x in np.meshgrid(EDGES, np.arange(64)))
    for name, function in (("<<", np.left_shift), (">>", np.right_shift)):
        found = evaluate(lambda k, v, name=name: real("i64", k.dialect.binary(
            name, v[0].text, v[1].text, "i64")), np.int64, a, counts)
        np.testing.assert_array_equal(found, function(a, counts))


def test_64_bit_integers_convert_to_the_nearest_float_and_back(evaluate) -> None:
    near = np.array([2**24 + 1, 2**24 + 3, 2**40 + 2**16, 2**40 + 2**16 + 1, 2**63 - 2**38])
    values = np.concatenate([pairs()[0], near, -near])
    to_float = evaluate(lambda k, v: k.cast(v[0], "f32"), np.float32, values)
    np.testing.assert_array_equal(to_float, values.astype(np.float32))
    inside = np.concatenate([floats(1000).ravel(), to_float[np.abs(to_float) < 2.0**63]])
    found = evaluate(lambda k, v: k.cast(v[0], "i64"), np.int64, inside)
    np.testing.assert_array_equal(found, inside.astype(np.int64))


def test_fma_rounds_once(evaluate) -> None:
    a, b, c = floats(3000)
    c[::2] = -(a * b)[::2] * np.float32(1 + 2**-20)
    found = evaluate(lambda k, v: real("f32", k.dialect.basic(
        "fma", [x.text for x in v], "f32")), np.float32, a, b, c)
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
             for x, y, z in zip(a, b, c, strict=True)]
    unit = np.spacing(np.abs(found))
    error = [abs(Fraction(float(f)) - e) / Fraction(float(u))
             for f, e, u in zip(found, exact, unit, strict=True)]
    assert max(error) <= Fraction(1, 2)


def test_fma_keeps_infinities(evaluate) -> None:
    a = np.array([np.inf, 1, 3e38, np.inf, 0], np.float32)
    b = np.array([2, 3, 3e38, 0, -1], np.float32)
    c = np.array([1, -np.inf, 1, 1, 0], np.float32)
    found = evaluate(lambda k, v: real("f32", k.dialect.basic(
        "fma", [x.text for x in v], "f32")), np.float32, a, b, c)
    np.testing.assert_array_equal(found, [np.inf, -np.inf, np.inf, np.nan, 0])


def test_fmod_is_exact(evaluate) -> None:
    a, b, _ = floats(2000, reach=100)
    ends = np.array([0, -0.0, 1e-45, 3e-40, 3.4e38, np.inf, np.nan, -5.5], np.float32)
    x, y = (z.ravel() for z in np.meshgrid(ends, ends))
    a, b = np.concatenate([a, x]), np.concatenate([b, y])
    found = evaluate(lambda k, v: real("f32", k.dialect.basic(
        "fmod", [x.text for x in v], "f32")), np.float32, a, b)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, np.fmod(a, b))


def test_the_compiler_does_not_rearrange_sums(evaluate) -> None:
    a, b, _ = floats(1000)

    def error_of_sum(kernel, values):
        def write(sign, x, y):
            return kernel.let(real("f32", kernel.dialect.binary(sign, x.text, y.text, "f32")))

        a, b = values
        total = write("+", a, b)
        part = write("-", total, a)
        return write("+", write("-", a, write("-", total, part)), write("-", b, part))

    found = evaluate(error_of_sum, np.float32, a, b)
    total = a + b
    np.testing.assert_array_equal(found, (a - (total - (total - a))) + (b - (total - a)))
    assert np.count_nonzero(found) > 500


def test_operations_that_algebra_would_simplify(evaluate) -> None:
    ends = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5], np.float32)
    with np.errstate(invalid="ignore"):
        rests, quotients, products = ends - ends, ends / ends, ends * np.float32(0)
    for name, want in (("-", rests), ("/", quotients)):
        found = evaluate(lambda k, v, name=name: real("f32", k.dialect.binary(
            name, v[0].text, v[0].text, "f32")), np.float32, ends)
        np.testing.assert_array_equal(found, want)
    found = evaluate(lambda k, v: real("f32", k.dialect.binary(
        "*", v[0].text, k.literal(0.0, "f32").text, "f32")), np.float32, ends)
    np.testing.assert_array_equal(found, products)
    found = evaluate(lambda k, v: real("bool", k.dialect.compare(
        "!=", v[0].text, v[0].text, "f32")), np.bool_, ends)
    np.testing.assert_array_equal(found, np.isnan(ends))


def test_every_half_is_read_and_written(evaluate) -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    found = evaluate(lambda k, v: v[0], np.float32, halves)
    np.testing.assert_array_equal(found, halves.astype(np.float32))
    back = evaluate(lambda k, v: v[0], np.float16, found)
    np.testing.assert_array_equal(back, halves)


def test_halves_round_to_even(evaluate) -> None:
    values = np.concatenate([floats(3000, 20).ravel(), np.array(
        [1 + 2**-11, 1 + 3 * 2**-11, 65519, 65520, 2.0**-25, 2.0**-25 * 1.01, 6.1e-5], np.float32)])
    found = evaluate(lambda k, v: v[0], np.float16, values)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, values.astype(np.float16))


@pytest.mark.parametrize("narrow", [np.int8, np.uint8, np.int16])
def test_narrow_integers_wrap(evaluate, narrow: type) -> None:
    ends = np.iinfo(narrow)
    values = np.array([ends.min, ends.min + 1, -1 & ends.max, 0, 1, 17, ends.max], narrow)
    a, b = (x.ravel() for x in np.meshgrid(values, values))
    register = {np.int8: "i8", np.uint8: "u8", np.int16: "i16"}[narrow]
    for name, function in (("+", np.add), ("-", np.subtract), ("*", np.multiply)):
        found = evaluate(lambda k, v, name=name: real(register, k.dialect.binary(
            name, v[0].text, v[1].text, register)), narrow, a, b)
        np.testing.assert_array_equal(found, function(a, b))


@pytest.mark.parametrize("what", [np.int8, np.int16, np.int32, np.uint8])
def test_remainders_have_the_sign_of_the_dividend(evaluate, what: type) -> None:
    ends = np.iinfo(what)
    values = np.array([ends.min, ends.min + 1, 5, 1, 17, ends.max - 1, ends.max], what)
    a, b = (x.ravel() for x in np.meshgrid(values, values))
    a, b = a[b != 0], b[b != 0]
    register = {np.int8: "i8", np.int16: "i16", np.int32: "i32", np.uint8: "u8"}[what]
    found = evaluate(lambda k, v: real(register, k.dialect.binary(
        "%", v[0].text, v[1].text, register)), what, a, b)
    np.testing.assert_array_equal(found, np.fmod(a, b))
