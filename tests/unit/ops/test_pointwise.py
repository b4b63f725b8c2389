"""What samples do not show: wraparound, NaN, promotion, ``out=``, in place, no warnings."""

from __future__ import annotations

import math
import threading
import warnings

import numpy as np
import pytest

import flambeau as fb

NAN, INF = math.nan, math.inf


def values(t: fb.Tensor) -> list:
    return t.tolist()


# ---- 16-bit floats -----------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("factor", [0.1, -2.7, 1e-3, 3, 2049, 1e5])
def test_a_number_scales_16_bit_floats_without_being_rounded_to_them(dtype, factor) -> None:
    torch = pytest.importorskip("torch")
    x = (np.random.default_rng(0).standard_normal(500) * 30).astype(np.float16)
    ours, theirs = fb.tensor(x).to(getattr(fb, dtype)), torch.tensor(x).to(getattr(torch, dtype))
    for got, expected in (
        (ours * factor, theirs * factor), (factor * ours, factor * theirs),
        (ours / factor, theirs / factor),
        (ours.clone().mul_(factor), theirs.clone().mul_(factor)),
        (ours.clone().div_(factor), theirs.clone().div_(factor)),
    ):
        assert got.dtype is ours.dtype
        assert np.array_equal(got.float().numpy(), expected.float().numpy())


# ---- integers ----------------------------------------------------------------------------------
def test_integers_wrap_around_as_in_c() -> None:
    top = fb.tensor([2**31 - 1], dtype=fb.int32)
    assert values(top + 1) == [-(2**31)]
    assert values(fb.tensor([200], dtype=fb.uint8) + 100) == [44]
    assert values(-fb.tensor([1], dtype=fb.uint8)) == [255]
    assert values(fb.tensor([2**62]) * 4) == [0]


def test_integer_powers() -> None:
    assert values(fb.tensor([2, -1, 1, 0]) ** fb.tensor([-1, -3, -2, 2])) == [0, -1, 1, 0]
    assert values(2 ** fb.tensor([3, -1])) == [8, 0]
    with pytest.raises(RuntimeError, match="negative integer powers are not allowed"):
        fb.tensor([2]) ** -1


def test_powers_of_booleans_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="bool"):
        fb.tensor([True]) ** fb.tensor([False])
    assert (fb.tensor([True]) ** 2).dtype is fb.int64


@pytest.mark.parametrize("exponent", [2, 0.5, 1, -1, 3, 0])
def test_common_powers_take_short_cuts_to_the_same_values(exponent: float) -> None:
    x = fb.tensor([0.25, 2.0, 9.0])
    np.testing.assert_allclose((x**exponent).numpy(), np.array([0.25, 2.0, 9.0]) ** exponent, 1e-6)


@pytest.mark.parametrize("divide", [fb.floor_divide, fb.remainder, fb.fmod])
@pytest.mark.parametrize("zero", [0, fb.tensor([1, 0])])
def test_integer_division_by_zero_is_an_error(divide: object, zero: object) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        divide(fb.tensor([1, 2]), zero)


def test_integer_division_is_exact_where_doubles_are_not() -> None:
    a = fb.tensor([2**62 + 1, -(2**62) - 1, 2**63 - 1])
    b = fb.tensor([3, 3, -7])
    want = [(2**62 + 1) // 3, (-(2**62) - 1) // 3, (2**63 - 1) // -7]
    assert values(a // b) == want
    assert values(fb.ops.rounding.floor_divide.op.decompose(a, b)) == want
    assert values(fb.div(a, b, rounding_mode="trunc")) == [
        (2**62 + 1) // 3, -((2**62 + 1) // 3), -((2**63 - 1) // 7)]


def test_floor_division_of_floats_follows_the_remainder() -> None:
    # 1 / 0.1 rounds to 10, but 0.1 is a little more than a tenth
    x = fb.tensor([1.0, -1.0, 5.0, -1.0, INF], dtype=fb.float64)
    y = fb.tensor([0.1, 0.1, 0.0, INF, 2.0], dtype=fb.float64)
    want = [9.0, -10.0, INF, -1.0, NAN]
    np.testing.assert_array_equal((x // y).numpy(), want)
    decomposed = fb.ops.rounding.floor_divide.op.decompose(x, y)
    np.testing.assert_array_equal(decomposed.numpy(), want)


# ---- NaN and signed zero -----------------------------------------------------------------------
def test_nan_rules() -> None:
    nan = fb.tensor([NAN])
    assert values(fb.sign(nan)) == [0.0]
    assert math.isnan(fb.maximum(nan, fb.tensor([1.0])).item())
    assert fb.fmax(nan, fb.tensor([1.0])).item() == 1.0
    assert fb.heaviside(nan, fb.tensor([0.5])).item() == 0.0
    assert math.isnan(fb.clamp(nan, 0, 1).item())
    assert math.isnan(fb.angle(nan).item())
    assert math.isnan(fb.xlogy(fb.tensor([0.0]), nan).item())
    assert fb.xlogy(fb.tensor([0.0]), fb.tensor([0.0])).item() == 0.0


def test_signs_of_zero() -> None:
    zero = fb.tensor([-0.0, 0.0])
    assert values(fb.signbit(zero)) == [True, False]
    assert values(fb.copysign(fb.tensor([2.0, 2.0]), zero)) == [-2.0, 2.0]
    assert values(fb.signbit(fb.copysign(fb.tensor([1]), -0.0))) == [True]
    assert values(fb.ops.clamp.signbit.op.decompose(zero)) == [True, False]


def test_infinities_do_not_become_nan() -> None:
    inf = fb.tensor([INF, -INF])
    assert values(fb.logaddexp(inf, inf)) == [INF, -INF]
    assert values(fb.hypot(inf, fb.tensor([1.0, NAN]))) == [INF, INF]
    assert values(fb.nan_to_num(fb.tensor([NAN, INF]), 1.0, 2.0)) == [1.0, 2.0]
    assert values(fb.nan_to_num(fb.tensor([-INF]))) == [fb.finfo(fb.float32).min]
    for count in (1, 20_000):  # by NumPy, and by the kernel of the formula
        x = fb.tensor([1.0, NAN, INF, -INF] * count)
        assert values(fb.nan_to_num(x, -999.0)[-4:])[1] == -999.0
        replaced = fb.nan_to_num(x, nan=INF, posinf=3.0, neginf=-2.0)
        assert values(replaced[-4:]) == [1.0, INF, 3.0, -2.0]


# ---- dtypes ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (lambda t: t.to(fb.int32) + 1.5, fb.float32),
        (lambda t: t.to(fb.float16) * 2.0, fb.float16),
        (lambda t: t.to(fb.bfloat16) * 2.0, fb.bfloat16),
        (lambda t: 2.0 - t.to(fb.bfloat16), fb.bfloat16),
        (lambda t: t.to(fb.bool) + 1, fb.int64),
        (lambda t: t.to(fb.int64) / 2, fb.float32),
        (lambda t: fb.sin(t.to(fb.int64)), fb.float32),
        (lambda t: fb.tan(t.to(fb.bool)), fb.float32),
        (lambda t: fb.clamp(t.to(fb.int64), 0.5), fb.float32),
        (lambda t: fb.clamp(t.to(fb.int64), max=t.to(fb.float64)), fb.float64),
        (lambda t: fb.float_power(t, 2), fb.float64),
        (lambda t: fb.square(t.to(fb.bool)), fb.int64),
        (lambda t: fb.abs(t.to(fb.complex64)), fb.float32),
        (lambda t: t > 1, fb.bool),
        (lambda t: fb.logical_and(t, t), fb.bool),
        (lambda t: fb.copysign(t.to(fb.int64), t.to(fb.int64)), fb.float32),
    ],
)
def test_result_types(expression: object, wanted: fb.dtype) -> None:
    result = expression(fb.tensor([1.0, 2.0]))
    assert result.dtype is wanted
    assert result.numpy().dtype == wanted.numpy  # and the memory is of that type


def test_numbers_that_do_not_fit_are_refused_as_bounds() -> None:
    with pytest.raises(RuntimeError, match="without overflow"):
        fb.clamp(fb.tensor([1], dtype=fb.uint8), 0, 300)


def test_complex_is_refused_where_it_has_no_meaning() -> None:
    z = fb.tensor([1 + 1j])
    for call in (fb.floor, fb.ceil, fb.trunc, fb.round, fb.signbit, fb.deg2rad, fb.erf):
        with pytest.raises(RuntimeError, match="complex|supported"):
            call(z)
    with pytest.raises(RuntimeError, match="complex"):
        z.clamp(0, 1)


# ---- operators ---------------------------------------------------------------------------------
def test_numbers_on_the_left() -> None:
    x = fb.tensor([1.0, 4.0])
    assert values(1 - x) == [0.0, -3.0]
    assert values(8 / x) == [8.0, 2.0]
    assert values(9 // x) == [9.0, 2.0]
    assert values(9 % x) == [0.0, 1.0]
    assert values(2**x) == [2.0, 16.0]
    assert values(1 << fb.tensor([2])) == [4]
    assert values(64 >> fb.tensor([2])) == [16]


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("x += 1", 7.0), ("x -= 1", 5.0), ("x *= 2", 12.0), ("x /= 2", 3.0), ("x //= 4", 1.0),
        ("x %= 4", 2.0), ("x **= 2", 36.0),
    ],
)
def test_augmented_assignment_writes_to_the_same_memory(statement: str, wanted: float) -> None:
    x = fb.tensor([6.0])
    alias, scope = x, {"x": x}
    exec(statement, scope)
    assert scope["x"] is alias
    assert values(alias) == [wanted]


@pytest.mark.parametrize(("statement", "wanted"), [
    ("x &= 3", 2), ("x |= 1", 7), ("x ^= 3", 5), ("x <<= 1", 12), ("x >>= 1", 3)])
def test_augmented_assignment_of_bits(statement: str, wanted: int) -> None:
    x = fb.tensor([6])
    scope = {"x": x}
    exec(statement, scope)
    assert scope["x"] is x
    assert values(x) == [wanted]


def test_augmented_assignment_does_not_change_the_dtype() -> None:
    x = fb.tensor([1])
    with pytest.raises(RuntimeError, match="can't be cast"):
        x += 1.5
    with pytest.raises(RuntimeError, match="can't be cast"):
        x /= 2


def test_foreign_operands_get_their_turn() -> None:
    class Other:
        def __rfloordiv__(self, left: object) -> str:
            return "mine"

        __rlshift__ = __radd__ = __rfloordiv__

    x = fb.tensor([1])
    assert x // Other() == x << Other() == x + Other() == "mine"
    with pytest.raises(TypeError, match="unsupported operand"):
        x // "a"


# ---- out=, in place, layouts -------------------------------------------------------------------
def test_out_is_resized_with_a_warning_and_cast() -> None:
    out = fb.empty(0)
    assert fb.tan(fb.tensor([0.0, 0.0]), out=out) is out
    assert out.shape == (2,)
    with pytest.warns(UserWarning, match="was resized"):
        fb.clamp(fb.tensor([1.0, 2.0, 3.0]), 0, 1, out=out)
    wide = fb.empty(2, dtype=fb.float64)
    fb.hypot(fb.tensor([3.0, 6.0]), fb.tensor([4.0, 8.0]), out=wide)
    assert values(wide) == [5.0, 10.0]
    with pytest.raises(RuntimeError, match="can't be cast"):
        fb.tan(fb.tensor([1.0]), out=fb.empty(1, dtype=fb.int64))


def test_in_place_forms_write_through_views() -> None:
    x = fb.arange(6.0).reshape(2, 3)
    x.t()[1].clamp_(max=2)
    assert values(x) == [[0.0, 1.0, 2.0], [3.0, 2.0, 5.0]]
    x[:, ::2].addcmul_(fb.ones(2, 2), fb.ones(2, 2), value=10)
    assert values(x) == [[10.0, 1.0, 12.0], [13.0, 2.0, 15.0]]


@pytest.mark.parametrize("name", ["tan", "erf", "erfc", "sinc", "trunc", "exp2", "logit", "square"])
def test_zero_size_and_0d(name: str) -> None:
    call = getattr(fb, name)
    assert call(fb.empty(0, 3)).shape == (0, 3)
    assert call(fb.tensor(0.5)).shape == ()


def test_leaf_in_place_is_refused() -> None:
    x = fb.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x.clamp_(0, 1)


# ---- silence -----------------------------------------------------------------------------------
def _quiet() -> None:
    x = fb.tensor([-1.0, 0.0, 1000.0])
    for _ in range(2):  # the first call and the remembered path
        fb.log(x), 1 / x, fb.exp(x), x / 0, fb.tensor([1]) / 0, fb.sqrt(x), x**-0.5, fb.acosh(x)
        fb.logsumexp(fb.tensor([-INF, -INF]), 0), fb.empty(0).mean(), x.to(fb.float16).exp()


def test_kernels_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.filterwarnings("error", category=UserWarning)
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="flambeau")
        _quiet()


def test_kernels_do_not_warn_in_threads_under_this_configuration() -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            _quiet()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failed


def test_a_fresh_process_prints_no_warnings() -> None:
    import subprocess
    import sys

    code = "import flambeau as f; x = f.tensor([-1., 0.]); f.log(x), 1 / x, (x - 1e30).acosh()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


# ---- in place, again and again -----------------------------------------------------------------
WRITES = {
    "tensor": lambda t, x: x.add_(t.ones(2, 3)),
    "broadcast": lambda t, x: x.div_(t.full((2, 1), 3.0)),
    "number": lambda t, x: x.mul_(0.7),
    "integer": lambda t, x: x.sub_(2),
    "scaled": lambda t, x: x.add_(t.full((3,), 2.0), alpha=-0.3),
    "scaled by an integer": lambda t, x: x.sub_(t.ones(2, 3), alpha=2),
    "view": lambda t, x: x[1].mul_(1.1),
    "column": lambda t, x: x[:, 1].add_(x[:, 0]),
    "other dtype": lambda t, x: x.mul_(t.tensor([1, 2, 3])),
    "itself": lambda t, x: x.mul_(x),
    "rounded": lambda t, x: x.div_(0.3, rounding_mode="floor"),
}


@pytest.mark.parametrize("write", WRITES)
def test_the_short_way_of_writing_in_place_gives_the_same(write: str) -> None:
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    ours, theirs = fb.tensor(start), torch.tensor(start)
    for _ in range(3):  # the first call finds the kernel that the others go to
        version = ours._version
        WRITES[write](fb, ours)
        WRITES[write](torch, theirs)
        assert ours._version == version + 1
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2e-7)


def test_the_short_way_of_writing_in_place_refuses_what_the_long_way_does() -> None:
    for x in (fb.zeros(3), fb.zeros(()), fb.zeros(1)):
        x.add_(fb.ones(x.shape))
        with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
            x.add_(fb.ones(1, 1))
        with pytest.raises(TypeError, match="must be Tensor or Number"):
            x.add_("1")
    leaf = fb.ones(3, requires_grad=True)
    for target in (leaf, leaf[1:], leaf.view(3)):
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            target.mul_(2.0)
    whole = fb.tensor([1, 2])
    whole.add_(1)
    with pytest.raises(RuntimeError, match="can't be cast"):
        whole.add_(0.5)


@pytest.mark.parametrize("op", ["mul", "add", "sub", "true_divide", "pow"])
def test_gradients_of_an_operation_with_a_number(op: str) -> None:
    torch = pytest.importorskip("torch")
    grads = []
    for t in (fb, torch):
        x = t.tensor([0.5, 1.5, 3.0], requires_grad=True)
        for _ in range(3):
            getattr(t, op)(getattr(t, op)(x, 1.7), 2).sum().backward()
        grads.append(x.grad.tolist())
    assert grads[0] == pytest.approx(grads[1], rel=1e-6)
