"""``assert_close``: are two values, or nested values, equal within tolerances?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import flambeau as fb
from flambeau import dtypes
from flambeau.tensor import Tensor

TOLERANCES: Final = {
    "float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7), "complex64": (1.3e-6, 1e-5), "complex128": (1e-7, 1e-7),
}
"""rtol and atol by dtype; PyTorch's."""
Message = str | Callable[[str], str] | None


def assert_close(
    actual: Any, expected: Any, *, allow_subclasses: bool = True, rtol: float | None = None,
    atol: float | None = None, equal_nan: bool = False, check_device: bool = True,
    check_dtype: bool = True, check_layout: bool = True, check_stride: bool = False,
    msg: Message = None,
) -> None:
    """Assert that ``|actual - expected| <= atol + rtol |expected|`` for all elements.

    Args:
        actual: a tensor, a number, what can be made a tensor, or sequences and mappings of such.
        expected: the same.
        allow_subclasses: the classes may differ if one is derived from the other.
        rtol: with ``atol``, both or neither; by default by the dtypes.
        atol: the absolute tolerance.
        equal_nan: NaN equals NaN.
        check_device: both are on the same device.
        check_dtype: both have the same dtype; else they are compared in the wider one.
        check_layout: whether sparse tensors must be of the same layout.
        check_stride: both have the same strides.
        msg: in place of the message, or a function of it.

    Raises:
        AssertionError: saying how they differ, and in nested values where.
        ValueError: if only one tolerance is given.
        TypeError: for values that cannot be compared.
    """
    if (rtol is None) is not (atol is None):
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or unspecified, but got "
            f"rtol={rtol} and atol={atol}.")

    def compare(a: Any, b: Any, place: list[Any]) -> None:
        if isinstance(a, str) or isinstance(b, str):
            raise TypeError("No comparison pair was able to handle inputs of type str")
        if isinstance(a, Sequence) and isinstance(b, Sequence):
            if len(a) != len(b):
                fail(f"The length of the sequences mismatch: {len(a)} != {len(b)}", place)
            for i, (x, y) in enumerate(zip(a, b, strict=True)):
                compare(x, y, [*place, i])
        elif isinstance(a, Mapping) and isinstance(b, Mapping):
            if a.keys() != b.keys():
                fail("The keys of the mappings do not match:\nMissing keys in the actual "
                     f"mapping: {sorted(b.keys() - a.keys())}\nMissing keys in the expected "
                     f"mapping: {sorted(a.keys() - b.keys())}", place)
            for key in b:
                compare(a[key], b[key], [*place, key])
        elif getattr(a, "is_nested", False) and getattr(b, "is_nested", False):
            compare(list(a.unbind()), list(b.unbind()), place)
        elif a is None or b is None:
            if a is not b:
                fail(f"None mismatch: {a} is not {b}", place)
        else:
            words = _difference(
                a, b, allow_subclasses, (rtol, atol), equal_nan, check_device, check_dtype,
                check_layout, check_stride)
            if words:
                fail(words, place)

    def fail(words: str, place: list[Any]) -> None:
        if place:
            words += "\n\nThe failure occurred for item " + "".join(f"[{p!r}]" for p in place)
        raise AssertionError(msg(words) if callable(msg) else msg or words)

    compare(actual, expected, [])


def _difference(
    a: Any, b: Any, allow_subclasses: bool, given: tuple[float | None, float | None],
    equal_nan: bool, check_device: bool, check_dtype: bool, check_layout: bool, check_stride: bool,
) -> str | None:
    """How two leaves differ; None if they do not."""
    numbers = isinstance(a, (bool, int, float, complex)) and isinstance(
        b, (bool, int, float, complex))
    if not allow_subclasses and type(a) is not type(b):
        raise TypeError("allow_subclasses=False and types mismatch: "
                        f"{type(a)} and {type(b)}")
    x, y = (_tensor(v) for v in (a, b))
    if numbers:
        check_dtype = False
    for name, left, right, checked in (
        ("shape", x.shape, y.shape, True), ("device", x.device, y.device, check_device),
        ("dtype", x.dtype, y.dtype, check_dtype), ("layout", x.layout, y.layout, check_layout),
        ("stride()", x.stride(), y.stride(), check_stride and not numbers),
    ):
        if checked and left != right:
            return f"The values for attribute '{name}' do not match: {left} != {right}."
    x, y = (t if t.layout is fb.strided else t.to_dense() for t in (x, y))
    rtol, atol = _tolerances(given, x, y)
    wide = fb.promote_types(x.dtype, y.dtype)
    wide = dtypes.int64 if wide.category < 2 else wide
    x, y = (t.detach().to("cpu").to(wide) for t in (x, y))
    close = fb.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if bool(close.all()):
        return None
    return _words(x, y, close, rtol, atol, numbers, a, b)


def _tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    try:
        made: Tensor = fb.as_tensor(value, dtype=fb.float64 if isinstance(value, float) else None)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(value)}") from error
    return made


def _tolerances(
    given: tuple[float | None, float | None], x: Tensor, y: Tensor
) -> tuple[float, float]:
    if given[0] is not None and given[1] is not None:
        return given[0], given[1]
    both = [TOLERANCES.get(t.dtype.name, (0.0, 0.0)) for t in (x, y)]
    return max(t[0] for t in both), max(t[1] for t in both)


def _words(
    x: Tensor, y: Tensor, close: Tensor, rtol: float, atol: float, numbers: bool, a: Any, b: Any
) -> str:
    away = (x - y).abs()
    relative = (away / y.abs()).double()
    away, wrong = away.double(), ~close
    exact = rtol == atol == 0
    if numbers or not x.ndim:
        a, b = (v.item() if isinstance(v, Tensor) else v for v in (a, b))
        head = f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {b} but got {a}.\n"
        return (f"{head}Absolute difference: {away.item()}{_limit(atol, exact)}\n"
                f"Relative difference: {relative.item()}{_limit(rtol, exact)}")
    count, total = int(wrong.sum()), x.numel()
    lines = [
        f"Tensor-likes are not {'equal' if exact else 'close'}!", "",
        f"Mismatched elements: {count} / {total} ({count / total:.1%})"]
    for name, values, tolerance in (("absolute", away, atol), ("relative", relative, rtol)):
        shown = fb.where(close, 0.0, values)
        at = int(shown.argmax())
        place = tuple(int(i) for i in fb.unravel_index(fb.tensor(at), x.shape))
        lines.append(
            f"Greatest {name} difference: {shown.reshape(-1)[at].item()} at index {place}"
            f"{_limit(tolerance, exact, 'up to ')}")
    return "\n".join(lines)


def _limit(tolerance: float, exact: bool, words: str = "up to ") -> str:
    return "" if exact else f" ({words}{tolerance} allowed)"


_LOOSE: Final = {"float16": (1e-3, 1e-3), "float32": (1e-4, 1e-5), "float64": (1e-5, 1e-8)}


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = True, msg: str = "",
) -> None:
    """``assert_close`` with wider tolerances, across dtypes; its older form.

    Raises:
        AssertionError: saying how they differ.
    """
    warnings.warn(
        "`assert_allclose()` is deprecated, as in PyTorch since 1.12. Please use `assert_close()` "
        "instead.", FutureWarning, stacklevel=2)
    if not isinstance(actual, Tensor):
        actual = fb.tensor(actual)
    if not isinstance(expected, Tensor):
        expected = fb.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        names = [str(t.dtype).rpartition(".")[2] for t in (actual, expected)]
        rtol, atol = (max(pair) for pair in zip(
            *(_LOOSE.get(name, (0.0, 0.0)) for name in names), strict=True))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False,
        msg=msg or None)
