"""Call paths of composites: kernels, fallbacks, history, errors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import flambeau
from flambeau.modes import DispatchMode
from flambeau.registry import OPS, composite
from flambeau_cpu.device import CpuBackend

calls: list[str] = []


def _back(g: Any, needs: tuple[bool, ...], a: Any, b: Any, factor: float, mark: Any) -> Any:
    return (g * factor * mark if needs[0] else None, g if needs[1] and b is not None else None)


@composite(
    "fused_test_op(Tensor a, Tensor? b=None, *, float factor=2.0) -> (Tensor out, Tensor mark)",
    joint=_back, template="fused", namespaces=("_internal",), method=False, out=False,
)
def fused_test_op(a: Any, b: Any = None, factor: float = 2.0) -> Any:
    """``a * factor + b``, and ones."""
    calls.append("body")
    out = a * factor
    return (out if b is None else out + b), a * 0 + 1


@composite(
    "front_test_op(Tensor a, int power=2) -> Tensor", template="front",
    namespaces=("_internal",), method=False,
)
def front_test_op(a: Any, power: int = 2) -> Any:
    """A power."""
    return a ** power


op, front = OPS["fused_test_op"].function, OPS["front_test_op"].function


@pytest.fixture(autouse=True)
def kernel() -> Iterator[None]:
    def fused(a: Any, b: Any, factor: float) -> Any:
        calls.append("kernel")
        if a.ndim != 1:
            return NotImplemented
        out = a * factor
        return (out if b is None else out + b), np.ones_like(a)

    CpuBackend.kernels.fresh["fused_test_op"] = fused
    calls.clear()
    yield
    del CpuBackend.kernels.fresh["fused_test_op"]
    OPS["fused_test_op"].fast.clear()


def _leaf(*values: float) -> Any:
    return flambeau.tensor(values, dtype=flambeau.float32, requires_grad=True)


def test_kernel_runs_from_the_first_call_and_its_path_is_remembered():
    x = flambeau.tensor([1.0, 2.0])
    for _ in range(3):
        out, mark = op(x, x, factor=3.0)
        assert out.tolist() == [4.0, 8.0]
        assert mark.tolist() == [1.0, 1.0]
    assert calls == ["kernel"] * 3
    assert x._kind in OPS["fused_test_op"].fast


def test_body_runs_where_the_kernel_declines():
    op(flambeau.ones(2))
    calls.clear()
    assert op(flambeau.ones(2, 2))[0].tolist() == [[2, 2], [2, 2]]
    assert calls[-1] == "body"


@pytest.mark.parametrize("times", [1, 3])
def test_gradients_by_either_path(times):
    for _ in range(times):
        a, b = _leaf(1, 2), _leaf(3, 4)
        out, mark = op(a, b, factor=5.0)
        assert not mark.requires_grad
        out.backward(flambeau.tensor([1.0, 10.0]))
        assert a.grad.tolist() == [5, 50]
        assert b.grad.tolist() == [1, 10]
    a = _leaf(1, 2)
    op(a)[0].sum().backward()
    assert a.grad.tolist() == [2, 2]


def test_no_history_without_grad_mode():
    a = _leaf(1, 2)
    op(a)
    with flambeau.no_grad():
        assert not op(a)[0].requires_grad


def test_modified_saved_tensor_is_refused():
    for _ in range(2):
        a = _leaf(1, 2)
        x = a * 1
        out, _ = op(x)
        x.add_(1.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


def test_graph_is_freed():
    a = _leaf(1, 2)
    out = op(op(a)[0])[0].sum()
    out.backward()
    with pytest.raises(RuntimeError, match="second time"):
        out.backward()


def test_a_view_gets_the_history_of_a_later_write():
    op(flambeau.ones(2))
    a, base = _leaf(5, 6), flambeau.zeros(2, 2)
    row = base.select(0, 0)
    base.copy_(flambeau.stack([a, a]))
    out, _ = op(row)
    out.sum().backward()
    assert a.grad.tolist() == [2, 2]


def test_other_dtypes_go_the_general_way():
    op(flambeau.ones(2))
    out, _ = op(flambeau.ones(2), flambeau.ones(2, dtype=flambeau.float64))
    assert out.dtype is flambeau.float64


def test_wrong_arguments_are_named():
    op(flambeau.ones(2))
    with pytest.raises(TypeError, match=r"argument 'a' \(position 1\) must be Tensor, not int"):
        op(3)
    with pytest.raises(TypeError, match="argument 'factor'"):
        op(flambeau.ones(2), factor="x")
    with pytest.raises(TypeError, match="argument 'power'"):
        front(flambeau.ones(2), "x")


def test_modes_see_both():
    seen = []

    class Watch(DispatchMode):
        def handle(self, op: Any, args: Any) -> Any:
            seen.append(op.name)
            return NotImplemented

    op(flambeau.ones(2))
    with Watch():
        op(flambeau.ones(2))
        front(flambeau.ones(2))
    assert seen[0] == "fused_test_op"
    assert "front_test_op" in seen


def test_front_with_out():
    target = flambeau.empty(2)
    assert front(flambeau.tensor([2.0, 3.0]), 3, out=target) is target
    assert target.tolist() == [8, 27]


def test_argument_names_that_the_generated_code_uses_are_refused():
    clash = composite("fused_clash(Tensor a, int kernel) -> Tensor", template="fused")(
        front_test_op.op.decompose)
    try:
        with pytest.raises(ValueError, match=r"arguments named \['kernel'\]"):
            clash(flambeau.ones(1), 1)
    finally:
        del OPS["fused_clash"]
