"""Accuracy of the error function, and where its coefficients come from."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import flambeau as fb
from flambeau.codegen import special as exact
from flambeau_cpu import erf as kernel


def derivation(path: str) -> ModuleType:
    pytest.importorskip("mpmath")
    file = Path(__file__).parents[2] / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_coefficients_are_those_derived():
    for name, table in derivation("backends/cpu/derive_erf.py").TABLES.items():
        for mine, derived in zip(getattr(kernel, name), table(), strict=True):
            np.testing.assert_allclose(mine, derived, 1e-14)
    erfc = derivation("ops/derive_erfc.py").coefficients()
    np.testing.assert_allclose(fb.ops.special._SCALED_ERFC, erfc, 1e-12)


def ulps(got: np.ndarray, want: np.ndarray) -> float:
    """The greatest error in units of the last place of the true value."""
    places = np.spacing(np.abs(want.astype(got.dtype))).astype(np.float64)
    return float(np.max(np.abs(got.astype(np.float64) - want) / places))


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 0.7), (np.float64, 1.3)])
@pytest.mark.parametrize("width", [0.1, 1.0, 6.5])
def test_accuracy_of_erf(dtype, limit, width):
    x = np.random.default_rng(0).uniform(-width, width, 3000).astype(dtype)
    want = np.array([exact.erf(float(v)) for v in x])
    assert ulps(kernel.erf(x), want) < limit


def test_accuracy_of_erfc_and_erfinv():
    x = fb.linspace(-5, 26, 800, dtype=fb.float64)
    want = np.array([exact.erfc(v) for v in x.tolist()])
    assert ulps(fb.erfc(x).numpy(), want) < 12
    y = fb.linspace(-0.9999, 0.9999, 301, dtype=fb.float64)
    np.testing.assert_allclose(fb.erf(fb.erfinv(y)).numpy(), y.numpy(), 1e-14)
    tiny = fb.tensor([1e-300, 1 - 2**-53], dtype=fb.float64)
    np.testing.assert_allclose(
        fb.erfinv(tiny).numpy(), [1e-300 * math.sqrt(math.pi) / 2, 5.863584748755168], 1e-14)


@pytest.mark.parametrize("size", [5, 20000])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_edges_in_short_and_long_arrays(size, dtype):
    x = np.resize(np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype), size)
    got = kernel.erf(x)[:5]
    np.testing.assert_array_equal(got, np.array([0.0, -0.0, 1.0, -1.0, np.nan], dtype))
    assert np.signbit(got[1])


def test_strided_arrays_and_out():
    x = np.linspace(-3, 3, 3000).reshape(50, 60)[::2, ::3].T
    out = np.empty((25, 60))[:, ::3]
    result = kernel.erf(x.T, out)
    assert result is out
    np.testing.assert_allclose(out, np.vectorize(math.erf)(x.T), 1e-15)
