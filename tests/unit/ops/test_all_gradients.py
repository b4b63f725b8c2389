"""First and second derivatives of every op against differences, on the op's own samples.

An op without derivatives is in ``NOT_DIFFERENTIABLE`` with the reason, one that can only be
differentiated once in ``ONCE``.  ``make test-deep`` compares whole Jacobians.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import flambeau as fb
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.device import device
from flambeau.registry import OPS, Op, all_ops
from flambeau.samples import Sample
from flambeau.tensor import Tensor
from flambeau_conformance.oracle import register
from flambeau_conformance.reference import dtypes_of, leaves, samples_of
from flambeau_conformance.transfer import Carrier, tensors_in

register()

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
"""Whether to compare whole Jacobians, and not one direction."""

NOT_DIFFERENTIABLE = {
    "the result is a truth value, a place or a count": """
        eq lt le ne gt ge logical_not logical_and logical_or logical_xor isnan isinf isposinf
        isneginf isfinite isreal isclose allclose equal signbit all any isin count_nonzero nonzero
        argwhere nonzero_static argmax argmin argsort matrix_rank one_hot pivots_to_rows
        count_below searchsorted bucketize histc multinomial""",
    "no tensor is among its arguments": "arange_steps",
    "it reads the same bits as another dtype": "view_dtype",
    "cholesky_triangle, which uses it, has the derivative": "cholesky_factor",
    "PyTorch gives it no derivative either": """
        bessel_j0 bessel_j1 bessel_y0 bessel_y1 modified_bessel_k0 modified_bessel_k1
        scaled_modified_bessel_k0 scaled_modified_bessel_k1 airy_ai""",
}
"""Ops whose results never require a gradient, by the reason."""

WRITING = (
    "foreach_add_", "foreach_mul_", "sgd_step_", "adam_step_", "rmsprop_step_", "adagrad_step_")
"""Steps of optimizers write to their arguments, which under no_grad alone may be parameters."""

REFUSED = (
    "geqrf", "reflectors", "ldl_packed", "ldl_factor", "ldl_factor_ex", "ldl_solution",
    "ldl_solve", "_standard_gamma_grad", "_dirichlet_grad", "ctc_backward")
"""As PyTorch: results require gradients, and computing these raises NotImplementedError."""

ONCE = ("ctc_losses", "ctc_loss")
"""As PyTorch: the second derivative raises NotImplementedError."""

BY_DEFINITION = {
    "the gradient of a number drawn is 0, whatever its distribution": "normal_of binomial",
    "the gradient is that of the distribution before the choice": "gumbel_softmax",
    "the gradient is that of the place in the distribution that was drawn":
        "_standard_gamma _sample_dirichlet",
    "the gradient passes where two numbers differ, whose neighbours lie steps apart": "nextafter",
}
"""Ops whose gradients are no limits of differences, by the reason."""


def named(table: dict[str, str]) -> list[str]:
    return " ".join(table.values()).split()


def hermitian(x: Tensor, *rest: Any) -> Tensor:
    return (x + x.mH) / 2


def triangle(x: Tensor, upper: bool = False) -> Tensor:
    return x.triu() if upper else x.tril()


PREPARED: dict[str, Callable[..., Tensor]] = {
    **dict.fromkeys(("eigh_factor", "eigh", "eigvalsh"), hermitian),
    **dict.fromkeys(("cholesky_triangle", "linalg_cholesky", "cholesky", "cholesky_ex"), hermitian),
    **dict.fromkeys(("eig_factor", "eig", "svd_factor", "linalg_svd", "svd"), lambda x, *rest: x),
    **dict.fromkeys(("ctc_losses", "ctc_loss"), lambda x, *rest: x.log_softmax(-1)),
    "cholesky_inverse": triangle,
}
"""Ops whose samples ask for no gradient: what is done to the first argument before."""

UP_TO_PHASE = ("eigh_factor", "eigh", "eig_factor", "eig", "svd_factor", "linalg_svd", "svd")
"""Ops whose results may be multiplied by numbers of modulus 1: absolute values are looked at."""


def cases() -> Iterator[Any]:
    apart = {*named(NOT_DIFFERENTIABLE), *named(BY_DEFINITION), *REFUSED, *WRITING}
    for op in all_ops():
        if op.name in apart:
            continue
        for what in dtypes_of(op) if op.dtypes != "none" else [fb.float64]:
            if what in (fb.float64, fb.complex128):
                yield pytest.param(op, what, id=f"{op.name}-{what.name}")


def samples(op: Op, what: Any) -> list[Sample]:
    """The op's samples on the cpu, from the smallest on."""
    found = []
    for made in samples_of(op, what, 0, grad=True):
        carry = Carrier(device("cpu"))
        sample = Sample(carry(made.args), carry(made.kwargs), made.name)
        if op.name in PREPARED and sample.args[0].dtype.category >= 2:
            sample.args[0].requires_grad_()
        if inputs(sample):
            found.append(sample)
    return sorted(found, key=size)


def inputs(sample: Sample) -> list[Tensor]:
    """The tensors to differentiate by, each once."""
    found = {id(t): t for t in tensors_in((sample.args, sample.kwargs)) if t.requires_grad}
    return list(found.values())


def size(sample: Sample) -> tuple[bool, int]:
    """Samples without elements come last."""
    count = sum(t.numel() for t in inputs(sample))
    return count == 0, count


def function_of(op: Op, sample: Sample) -> Callable[..., list[Tensor]]:
    """The op as a function of the tensors of a sample that require a gradient."""
    places = [id(t) for t in inputs(sample)]
    writes = any(a.name == "inplace" for a in op.schema.arguments)

    def run(*given: Tensor) -> list[Tensor]:
        if writes or op.is_random:  # numbers are drawn in the order of the input's memory
            given = tuple(t.clone(memory_format=fb.contiguous_format) for t in given)
        put = dict(zip(places, given, strict=True))
        args, kwargs = replaced(sample.args, put), replaced(sample.kwargs, put)
        if op.name in PREPARED:
            args = (PREPARED[op.name](*args), *args[1:])
        if op.is_random:
            fb.manual_seed(0)
        found = [t for t in leaves(op.function(*args, **kwargs))
                 if isinstance(t, Tensor) and t.requires_grad]
        return [t.abs() for t in found] if op.name in UP_TO_PHASE else found

    return run


def replaced(value: Any, put: dict[int, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return put.get(id(value), value)
    if isinstance(value, dict):
        return {k: replaced(v, put) for k, v in value.items()}
    return type(value)(replaced(v, put) for v in value) if type(value) in (list, tuple) else value


def is_exact(outs: list[Tensor]) -> bool:
    """Whether differences say anything: results are finite, and of double precision."""
    return all(bool(t.isfinite().all()) and t.dtype in (fb.float64, fb.complex128) for t in outs)


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize(("op", "what"), list(cases()))
def test_derivatives(op: Op, what: Any) -> None:
    checked = 0
    for sample in samples(op, what):
        function, xs = function_of(op, sample), inputs(sample)
        outs = function(*xs)
        if not outs or not is_exact(outs):
            continue
        assert gradcheck(function, xs, fast_mode=not DEEP)
        if op.name in ONCE:
            with pytest.raises(NotImplementedError, match="the derivative for"):
                gradgradcheck(function, xs)
        else:
            assert gradgradcheck(function, xs, fast_mode=not DEEP)
        checked += sum(x.numel() for x in xs) > 0
    assert checked, "no sample with elements has a result that requires a gradient"


def demanding(op: Op) -> Iterator[list[Tensor]]:
    """The results of all samples of an op, when every floating argument requires a gradient."""
    for what in dtypes_of(op):
        for made in samples_of(op, what, 0, grad=True):
            carry = Carrier(device("cpu"))
            args, kwargs = carry(made.args), carry(made.kwargs)
            for t in tensors_in((args, kwargs)):
                if t.dtype.category >= 2:
                    t.requires_grad_()
            yield [t for t in leaves(op.function(*args, **kwargs)) if isinstance(t, Tensor)]


@pytest.mark.parametrize("name", named(NOT_DIFFERENTIABLE))
def test_results_require_no_gradient(name: str) -> None:
    results = list(demanding(OPS[name]))
    assert results and not any(t.requires_grad for outs in results for t in outs)


@pytest.mark.parametrize("name", REFUSED)
def test_derivatives_that_pytorch_has_not_either_are_refused(name: str) -> None:
    for outs in demanding(OPS[name]):
        if outs[0].numel():
            with pytest.raises(NotImplementedError, match="the derivative for"):
                outs[0].real.sum().backward()


@pytest.mark.parametrize("name", named(BY_DEFINITION))
def test_gradients_by_definition_exist(name: str) -> None:
    for outs in demanding(OPS[name]):
        assert outs[0].requires_grad
        outs[0].sum().backward()


@pytest.mark.parametrize("name", WRITING)
def test_writing_to_parameters_is_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        list(demanding(OPS[name]))


def test_every_op_is_somewhere() -> None:
    apart = [*named(NOT_DIFFERENTIABLE), *named(BY_DEFINITION), *REFUSED, *WRITING]
    assert len(apart) == len(set(apart)) and set(apart) <= set(OPS)
    checked = {case.values[0].name for case in cases()}
    rest = {op.name for op in all_ops()} - checked - set(apart)
    assert all(OPS[name].dtypes in ("integral", "bool_integral") for name in rest)


def test_pytorch_refuses_the_same() -> None:
    torch = pytest.importorskip("torch")

    def leaf(*shape: int) -> Any:
        return torch.rand(*shape, dtype=torch.float64, requires_grad=True)

    matrix, lengths = leaf(3, 3), torch.tensor([5])
    log_probs = leaf(5, 1, 3).log_softmax(-1)
    loss = torch.nn.functional.ctc_loss(
        log_probs, torch.tensor([[1, 2]]), lengths, torch.tensor([2]))
    shape = leaf(3)
    draw = torch._standard_gamma(shape)
    seconds = [torch.autograd.grad(x.sum(), y, create_graph=True)[0]
               for x, y in ((loss, log_probs), (draw, shape))]
    firsts = [torch.geqrf(matrix)[0], torch.linalg.ldl_factor(matrix)[0]]
    for refused in (*firsts, *seconds):
        assert refused.requires_grad
        with pytest.raises(RuntimeError, match="not implemented"):
            refused.sum().backward()
