"""Discrete Fourier transforms, by NumPy's."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from flambeau.backend import KernelTable

kernels = KernelTable()

_NORMS: Final = ("backward", "ortho", "forward")
_INVERSE_NORMS: Final = ("forward", "ortho", "backward")


def _complex(x: Any, dim: Any, scale: int, forward: bool) -> Any:
    if forward:
        return np.fft.fftn(x, axes=dim, norm=_NORMS[scale])
    return np.fft.ifftn(x, axes=dim, norm=_INVERSE_NORMS[scale])


def _half(x: Any, dim: Any, scale: int) -> Any:
    return np.fft.rfftn(x, axes=dim, norm=_NORMS[scale])


def _real(x: Any, dim: Any, scale: int, size: int) -> Any:
    points = [x.shape[d] for d in dim[:-1]] + [size]
    return np.fft.irfftn(x, points, dim, norm=_INVERSE_NORMS[scale])


@kernels.register("fft_complex", fresh=_complex)
def fft_complex(out: Any, x: Any, dim: Any, scale: int, forward: bool) -> None:
    """Complex to complex."""
    out[...] = _complex(x, dim, scale, forward)


@kernels.register("fft_half", fresh=_half)
def fft_half(out: Any, x: Any, dim: Any, scale: int) -> None:
    """Real to half of complex."""
    out[...] = _half(x, dim, scale)


@kernels.register("fft_real", fresh=_real)
def fft_real(out: Any, x: Any, dim: Any, scale: int, size: int) -> None:
    """Half of complex to real."""
    out[...] = _real(x, dim, scale, size)
