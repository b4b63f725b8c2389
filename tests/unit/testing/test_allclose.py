"""``assert_allclose``: the older, wider comparison."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as fb


@pytest.mark.parametrize(
    ("a", "b", "options", "passes"),
    [
        (1.0, 1.00005, {}, True),
        (1.0, 1.001, {}, False),
        ([1.0, 2.0], [1.0, 2.0], {}, True),
        (float("nan"), float("nan"), {}, True),
        (float("nan"), float("nan"), {"equal_nan": False}, False),
        (1.0, 1.1, {"rtol": 0.2, "atol": 0.0}, True),
        ([1, 2], [1, 3], {}, False),
    ],
)
def test_values(a: Any, b: Any, options: dict[str, Any], passes: bool) -> None:
    libraries = [fb, pytest.importorskip("torch")]
    for lib in libraries:
        with pytest.warns(FutureWarning, match="deprecated"):
            assert _is_close(lib, a, b, options) is passes


def _is_close(lib: Any, a: Any, b: Any, options: dict[str, Any]) -> bool:
    try:
        lib.testing.assert_allclose(a, b, **options)
    except AssertionError:
        return False
    return True


def test_dtypes_may_differ() -> None:
    with pytest.warns(FutureWarning):
        fb.testing.assert_allclose(fb.ones(2, dtype=fb.float64), fb.ones(2))
    with pytest.warns(FutureWarning), pytest.raises(AssertionError, match="said so"):
        fb.testing.assert_allclose(fb.ones(2), fb.ones(2) * 2, msg="said so")
