"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flambeau.autograd.engine import grad
from flambeau.tensor import Tensor


class GradcheckError(RuntimeError):
    """Analytical and numerical gradients differ."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
    **ignored: Any,
) -> bool:
    """Compare the backward of a function with central differences.

    Args:
        inputs: arguments; those that require a gradient should be float64 or complex128.
        eps: half the step of the differences.
        atol: absolute tolerance of an element of the Jacobian.
        rtol: relative tolerance.
        fast_mode: compare one number, for a random direction of all inputs and one of all outputs,
            and not whole Jacobians.

    Returns:
        True if they agree.

    Raises:
        GradcheckError: if not, unless ``raise_exception`` is False.
    """
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    wanted = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True.")

    def outputs(*args: Any) -> list[Tensor]:
        return _differentiable(func(*args))

    return _check(outputs, args, eps, atol, rtol, raise_exception, fast_mode)


Outputs = Callable[..., list[Tensor]]


def _check(
    outputs: Outputs, args: tuple[Any, ...], eps: float, atol: float, rtol: float,
    raise_exception: bool, fast_mode: bool,
) -> bool:
    wanted = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
    try:
        outs = outputs(*args)
        if fast_mode:
            _compare_along(outputs, args, outs, wanted, eps, atol, rtol)
            return True
        for number, out in enumerate(outs):
            for at, x in enumerate(wanted):
                _compare(outputs, args, number, out, at, x, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _differentiable(result: Any) -> list[Tensor]:
    outs = result if isinstance(result, (tuple, list)) else (result,)
    return [o for o in outs if isinstance(o, Tensor) and o.requires_grad]


def _compare(
    outputs: Outputs, args: tuple[Any, ...], number: int, out: Tensor, at: int, x: Tensor,
    eps: float, atol: float, rtol: float,
) -> None:
    analytical = _analytical(out, x)
    numerical = _numerical(outputs, args, number, out, x, eps)
    if not np.allclose(analytical, numerical, rtol, atol, equal_nan=True):
        raise GradcheckError(
            f"Jacobian mismatch for output {number} with respect to input {at},\n"
            f"numerical:{numerical}\nanalytical:{analytical}\n")


def _compare_along(
    outputs: Outputs, args: tuple[Any, ...], outs: list[Tensor], wanted: list[Tensor],
    eps: float, atol: float, rtol: float,
) -> None:
    """The derivative of a sum of all outputs, by random weights, along a random direction."""
    if not outs:
        return
    random = np.random.default_rng(0)
    along, weights = ([_random(random, t) for t in tensors] for tensors in (wanted, outs))
    roots = [i for i, out in enumerate(outs) if out.requires_grad]
    cotangents = [_like(outs[i], weights[i]) for i in roots]
    found = grad([outs[i] for i in roots], wanted, cotangents, retain_graph=True,
                 allow_unused=True) if roots else ()
    analytical = sum(_dot(_flat(g), u) for g, u in zip(found, along, strict=False) if g is not None)
    moves = {id(x): u for x, u in zip(wanted, along, strict=True)}
    after, before = (
        sum(_dot(w, _flat(o)) for o, w in zip(_all_moved(outputs, args, moves, step), weights,
                                              strict=True))
        for step in (eps, -eps))
    numerical = (after - before) / (2 * eps)
    if not np.isclose(analytical, numerical, rtol, atol, equal_nan=True):
        raise GradcheckError(
            "Jacobian mismatch along a random direction of the inputs and of the outputs,\n"
            f"numerical:{numerical}\nanalytical:{analytical}\n")


def _random(random: np.random.Generator, t: Tensor) -> np.ndarray[Any, Any]:
    values = random.uniform(-1, 1, tuple(t.shape))
    if t.dtype.is_complex:
        values = values + 1j * random.uniform(-1, 1, tuple(t.shape))
    return values.astype(t.dtype.numpy)


def _dot(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """The real part of the inner product."""
    return float(np.vdot(a, b).real)


def _all_moved(
    outputs: Outputs, args: tuple[Any, ...], moves: dict[int, np.ndarray[Any, Any]], step: float,
) -> list[Tensor]:
    """The outputs when all inputs that require a gradient are moved by a step of their own."""
    moved = [
        _like(a, _flat(a).reshape(tuple(a.shape)) + step * moves[id(a)]).requires_grad_()
        if id(a) in moves else a for a in args]
    return [out.detach() for out in outputs(*moved)]


def _analytical(out: Tensor, x: Tensor) -> np.ndarray[Any, Any]:
    """Rows: elements of the output.  Complex outputs have a second row for the imaginary part."""
    rows = []
    for i in range(out.numel()):
        for unit in (1, 1j) if out.dtype.is_complex else (1,):
            seed = np.zeros(out.numel(), out.dtype.numpy)
            seed[i] = unit
            cotangent = _like(out, seed.reshape(tuple(out.shape)))
            g = None
            if out.requires_grad:
                (g,) = grad(out, x, cotangent, retain_graph=True, allow_unused=True)
            rows.append(np.zeros(x.numel(), x.dtype.numpy) if g is None else _flat(g))
    return np.array(rows).reshape(len(rows), x.numel())


def _numerical(
    outputs: Outputs, args: tuple[Any, ...], number: int, out: Tensor, x: Tensor, eps: float,
) -> np.ndarray[Any, Any]:
    """The same matrix: for complex inputs PyTorch's convention, d/d conj of the real part."""
    kinds = (1, 1j) if x.dtype.is_complex else (1,)
    columns = []
    for i in range(x.numel()):
        parts = []
        for unit in kinds:
            after = _flat(_moved(outputs, args, number, x, i, eps * unit))
            before = _flat(_moved(outputs, args, number, x, i, -eps * unit))
            parts.append((after - before) / (2 * eps))
        columns.append(_rows(parts, out.dtype.is_complex))
    return np.array(columns).T.reshape(out.numel() * (1 + out.dtype.is_complex), x.numel())


def _rows(parts: list[np.ndarray[Any, Any]], complex_out: bool) -> np.ndarray[Any, Any]:
    units = (1, 1j) if complex_out else (1,)
    rows = [[(np.conj(unit) * p).real for p in parts] for unit in units]
    combined = [r[0] + (1j * r[1] if len(parts) > 1 else 0) for r in rows]
    return np.stack(combined, 1).reshape(-1)


def _moved(
    outputs: Outputs, args: tuple[Any, ...], number: int, x: Tensor, i: int, by: complex
) -> Tensor:
    """The output when one element of an input is changed."""
    values = _flat(x).copy()
    values[i] += by
    changed = _like(x, values.reshape(tuple(x.shape)))
    changed.requires_grad_(True)
    return outputs(*(changed if a is x else a for a in args))[number].detach()


def _flat(t: Tensor) -> np.ndarray[Any, Any]:
    from flambeau.interop import host_array

    return np.ascontiguousarray(host_array(t.detach())).reshape(-1)


def _like(t: Tensor, array: np.ndarray[Any, Any]) -> Tensor:
    from flambeau.construct import from_numpy

    moved: Tensor = from_numpy(np.ascontiguousarray(array).reshape(tuple(t.shape))).to(t.device)
    return moved


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    **ignored: Any,
) -> bool:
    """Compare the backward of the backward of a function with central differences.

    Args:
        grad_outputs: cotangents of the outputs; drawn from a fixed seed if None.
        fast_mode: as of ``gradcheck``.
    """
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    outs = _differentiable(func(*args))
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        cotangents = []
        for out in outs:
            values = rng.uniform(-1, 1, tuple(out.shape)).astype(out.dtype.numpy)
            cotangents.append(_like(out, values).requires_grad_())
    else:
        cotangents = list(grad_outputs if isinstance(grad_outputs, (tuple, list))
                          else (grad_outputs,))
    positions = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def backward(*both: Any) -> list[Tensor]:
        given, seeds = both[: len(args)], both[len(args):]
        wanted = [given[i] for i in positions]
        results = _differentiable(func(*given))
        found = grad(results, wanted, seeds, create_graph=True, allow_unused=True)
        return [g for g in found if g is not None]  # those that require no gradient must not vary

    return _check(backward, (*args, *cotangents), eps, atol, rtol, raise_exception, fast_mode)
