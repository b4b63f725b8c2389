"""Windows for signals: the functions of ``torch.signal.windows``.

``sym=True`` gives a symmetric window for filters; ``sym=False`` a periodic one for spectra: the
first M points of the symmetric window of M + 1.

Formulas: F. J. Harris, On the use of windows for harmonic analysis with the discrete Fourier
transform, Proceedings of the IEEE 66 (1978) 51-83.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import flambeau as fb
from flambeau.tensor import Tensor


def _points(name: str, M: int, sym: bool, options: dict[str, Any]) -> tuple[Any, int, bool]:  # noqa: N803
    """The indices 0, 1... as floats, the number of steps between the ends, and whether the result
    is to require a gradient.

    Raises:
        ValueError: for a negative size, a dtype that is not floating, or a sparse layout.
    """
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    dtype, layout = options.pop("dtype", None), options.pop("layout", None)
    dtype = fb.get_default_dtype() if dtype is None else dtype
    if layout is not None and str(layout).rpartition(".")[2] != "strided":
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if dtype not in (fb.float32, fb.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    grad = options.pop("requires_grad", False)
    return fb.arange(M, dtype=dtype, **options), M - 1 if sym else M, grad


def _single(n: Tensor) -> bool:
    return n.numel() <= 1


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``sum_i (-1)^i a_i cos(2 pi i n / (M - 1))``.

    Args:
        M: number of points.
        a: the coefficients.
        sym: symmetric or periodic.
        options: ``dtype``, ``layout``, ``device``, ``requires_grad``.

    Raises:
        TypeError: if the coefficients are no iterable.
        ValueError: if there are none.
    """
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    coefficients = list(a)
    if not coefficients:
        raise ValueError("Coefficients cannot be empty")
    n, steps, grad = _points("general_cosine", M, sym, options)
    if M == 1:
        return fb.ones_like(n).requires_grad_(grad)
    total: Any = fb.zeros_like(n)
    for i, coefficient in enumerate(coefficients):
        total = total + (n * (2 * math.pi * i / max(steps, 1))).cos() * (
            coefficient if i % 2 == 0 else -coefficient)
    return total.requires_grad_(grad)  # type: ignore[no-any-return]


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``alpha - (1 - alpha) cos(2 pi n / (M - 1))``; other arguments as in ``general_cosine``."""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, **options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``general_hamming`` with alpha 0.54."""
    return general_hamming(M, sym=sym, **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``general_hamming`` with alpha 0.5."""
    return general_hamming(M, alpha=0.5, sym=sym, **options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``general_cosine`` with Blackman's coefficients."""
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, **options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``general_cosine`` with Nuttall's coefficients."""
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)


def bartlett(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``1 - |2 n / (M - 1) - 1|``: a triangle."""
    n, steps, grad = _points("bartlett", M, sym, options)
    if M == 1:
        return fb.ones_like(n).requires_grad_(grad)
    result = 1 - (n * (2 / max(steps, 1)) - 1).abs()
    return result.requires_grad_(grad)  # type: ignore[no-any-return]


def cosine(M: int, *, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``sin(pi (n + 1/2) / M)``."""
    n, steps, grad = _points("cosine", M, sym, options)
    if _single(n):
        return fb.ones_like(n).requires_grad_(grad)
    result = ((n + 0.5) * (math.pi / (steps + 1))).sin()
    return result.requires_grad_(grad)  # type: ignore[no-any-return]


def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True,  # noqa: N803
    **options: Any,
) -> Tensor:
    """``exp(-|n - center| / tau)``.

    Raises:
        ValueError: for tau that is not positive, or a center for a symmetric window.
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    n, steps, grad = _points("exponential", M, sym, options)
    if _single(n):
        return fb.ones_like(n).requires_grad_(grad)
    middle = steps / 2.0 if center is None else center
    result = ((n - middle).abs() * (-1 / tau)).exp()
    return result.requires_grad_(grad)  # type: ignore[no-any-return]


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``exp(-((n - (M - 1) / 2) / std)^2 / 2)``.

    Raises:
        ValueError: for a standard deviation that is not positive.
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    n, steps, grad = _points("gaussian", M, sym, options)
    if _single(n):
        return fb.ones_like(n).requires_grad_(grad)
    scaled = (n - steps / 2.0) * (1 / (std * math.sqrt(2)))
    return (scaled * scaled * -1).exp().requires_grad_(grad)  # type: ignore[no-any-return]


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Any) -> Tensor:  # noqa: N803
    """``i0(beta sqrt(1 - (2 n / (M - 1) - 1)^2)) / i0(beta)``.

    Raises:
        ValueError: for a negative beta.
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    n, steps, grad = _points("kaiser", M, sym, options)
    if _single(n):
        return fb.ones_like(n).requires_grad_(grad)
    at = n * (2 / max(steps, 1)) - 1
    root = ((1 - at * at) * beta**2).clamp(min=0).sqrt()
    result = fb.special.i0(root) / fb.special.i0(fb.full_like(n[0], beta))
    return result.requires_grad_(grad)


# ---- the older names, at the top of the package --------------------------------------------------
def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """``hann``; periodic by default."""
    return hann(window_length, sym=not periodic, **_without(options))


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46,
    **options: Any,
) -> Tensor:
    """``alpha - beta cos(2 pi n / steps)``; periodic by default."""
    return general_cosine(
        window_length, a=[alpha, beta], sym=not periodic, **_without(options))


def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """``blackman``; periodic by default."""
    return blackman(window_length, sym=not periodic, **_without(options))


def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """``bartlett``; periodic by default."""
    return bartlett(window_length, sym=not periodic, **_without(options))


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any
) -> Tensor:
    """``kaiser``; periodic by default."""
    return kaiser(window_length, beta=beta, sym=not periodic, **_without(options))


def _without(options: dict[str, Any]) -> dict[str, Any]:
    """Options without ``pin_memory``, which means nothing here."""
    return {k: v for k, v in options.items() if k != "pin_memory"}
