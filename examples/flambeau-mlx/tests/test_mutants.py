"""The conformance suite finds this backend with one thing wrong, at the check that names it."""

from fnmatch import fnmatchcase
from typing import Any

import mlx.core as mx
import pytest
from flambeau_mlx.arrays import MlxArrays
from flambeau_mlx.kernels import table

from flambeau.registry import OPS
from flambeau_conformance import suite
from flambeau_conformance.config import Config


def failures(*cases: str) -> list[str]:
    return [r.id for case in suite.collect(Config("mlx")) if case.id in cases
            for r in case.execute() if r.status == "failed"]


def wrong_stride(self: MlxArrays, flat: mx.array, layout: Any) -> mx.array:
    strides = [s + (s > 1) for s in layout.strides]
    return mx.as_strided(mx.contiguous(flat), layout.shape, strides, layout.offset)


def lost_write(self: MlxArrays, array: mx.array, part: Any, values: mx.array) -> mx.array:
    return array


def other_bits(self: MlxArrays, flat: mx.array, what: Any) -> mx.array:
    return mx.zeros_like(flat.view(self.full((), what, 0).dtype))


@pytest.mark.parametrize(("method", "wrong", "case", "finds"), [
    ("strided", wrong_stride, "L1/exp/float32/forward", "L1/exp/float32/2d+scrambled/forward"),
    ("update", lost_write, "L1/exp/float32/forward", "L1/exp/float32/2d/kernel-contiguous"),
    ("bitcast", other_bits, "L3/logaddexp/complex64/forward", "L3/logaddexp/complex64/*/forward"),
], ids=lambda v: getattr(v, "__name__", ""))
def test_wrong_memory(
    method: str, wrong: Any, case: str, finds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failures(case) == []
    monkeypatch.setattr(MlxArrays, method, wrong)
    failed = failures(case)
    assert any(fnmatchcase(i, finds) for i in failed), failed


# ---- kernels -------------------------------------------------------------------------------------
def lost_duplicates(x: mx.array, index: mx.array, src: mx.array, dim: int) -> mx.array:
    """Of the values that go to one place, keeps one."""
    return mx.put_along_axis(x, index, src + mx.take_along_axis(x, index, dim), dim)


def no_mask(q: mx.array, k: mx.array, v: mx.array, mask: Any, is_causal: bool, scale: float) -> Any:
    """Lets every query see every key."""
    out = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale)
    return out, mx.logsumexp((q * scale) @ mx.swapaxes(k, 2, 3), -1)


@pytest.mark.parametrize(("name", "wrong", "case", "finds"), [
    ("scatter_add", lost_duplicates, "L1/scatter_add/float32/forward", "L1/scatter_add/float32/*"),
    ("attention", no_mask, "L3/attention/float32/forward", "L3/attention/float32/causal/forward"),
], ids=lambda v: getattr(v, "__name__", ""))
def test_wrong_kernels(
    name: str, wrong: Any, case: str, finds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failures(case) == []
    monkeypatch.setitem(table.fresh, name, table._fresh_form(wrong))
    OPS[name].fast.clear()
    failed = failures(case)
    OPS[name].fast.clear()
    assert any(fnmatchcase(i, finds) for i in failed), failed
