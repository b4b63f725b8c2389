"""The oracle: complete, right where it is easy to see, and nobody's copy."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as fb
import flambeau_conformance
from flambeau.kind import kind_of
from flambeau.plugins import backend_for
from flambeau.registry import Op, all_ops, primitives
from flambeau_conformance import oracle
from flambeau_conformance.transfer import from_host, to_host

FOREIGN = {"cupy", "flambeau_cpu", "flambeau_cuda", "flambeau_opencl", "pyopencl", "torch"}
PACKAGE = Path(flambeau_conformance.__file__).parent


@pytest.fixture(autouse=True)
def _registered() -> None:
    oracle.register()


def on_oracle(values: Any) -> fb.Tensor:
    array = np.asarray(values)
    return from_host(array, kind_of("oracle", fb.dtypes.from_numpy_dtype(array.dtype)))


@pytest.mark.parametrize("op", primitives(), ids=lambda op: op.name)
def test_every_primitive_has_a_kernel(op: Op) -> None:
    assert backend_for("oracle").kernels.out.get(op.name) is not None


def test_it_overrides_no_composite() -> None:
    names = {op.name for op in all_ops() if op.kind == "primitive"}
    assert set(backend_for("oracle").kernels.out) <= names
    assert all(backend_for("oracle").kernels.out.get(name) is not None for name in names)
    assert not backend_for("oracle").kernels.fresh


def test_the_suite_shares_no_code_with_a_backend_and_knows_no_torch() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
            for name in names:
                top = name.partition(".")[0]
                assert top not in FOREIGN, path


def test_matmul_against_einsum() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 1, 3, 4)), random.normal(size=(5, 4, 2))
    np.testing.assert_allclose(
        to_host(on_oracle(a) @ on_oracle(b)), np.einsum("axij,xjk->axik", np.repeat(a, 5, 1), b))
    np.testing.assert_allclose(to_host(on_oracle(a[0, 0, 0]) @ on_oracle(b[0])), a[0, 0, 0] @ b[0])


def test_sort_keeps_the_order_of_equals_and_puts_nan_last() -> None:
    from flambeau.ops.sorting import sort_stable

    x = on_oracle([2.0, float("nan"), 1.0, 2.0])
    assert to_host(sort_stable(x, 0)[1]).tolist() == [2, 0, 3, 1]
    assert to_host(sort_stable(x, 0, True)[1]).tolist() == [1, 0, 3, 2]


def test_scatter_add_counts_duplicates() -> None:
    x = on_oracle(np.zeros(3))
    got = x.scatter_add(0, on_oracle([1, 1, 2]), on_oracle([1.0, 2.0, 4.0]))
    assert to_host(got).tolist() == [0, 3, 4]


def test_an_index_out_of_bounds_is_refused() -> None:
    with pytest.raises(IndexError, match="index 5 is out of bounds for dimension 0 with size 2"):
        on_oracle([1.0, 2.0]).gather(0, on_oracle([5]))


def test_argmax_takes_the_first_of_equals_and_nan_before_all() -> None:
    assert to_host(on_oracle([1.0, 3.0, 3.0]).argmax()).item() == 1
    assert to_host(on_oracle([1.0, float("nan"), 3.0]).argmax()).item() == 1
