"""Derivatives as functions.  They nest: each level differentiates by aliases of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flambeau.autograd.dual import DualLevel
from flambeau.autograd.forward_ad import dual, unpacked
from flambeau.autograd.grad_mode import enable_grad
from flambeau.func import tracking
from flambeau.func.tree import check_tensors, leaves, mapped, rebuilt
from flambeau.tensor import Tensor

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


def _chosen(args: tuple[Any, ...], argnums: Argnums) -> Any:
    """The arguments to differentiate by.

    Raises:
        RuntimeError: for a number that no argument has.
    """
    def one(i: int) -> Any:
        if not -len(args) <= i < len(args):
            raise RuntimeError(
                f"Got argnum={i}, but only {len(args)} positional inputs were passed in")
        return args[i]

    return tuple(map(one, argnums)) if isinstance(argnums, tuple) else one(argnums)


def _replaced(args: tuple[Any, ...], argnums: Argnums, values: Any) -> list[Any]:
    result = list(args)
    for i, v in zip(argnums, values, strict=True) if isinstance(argnums, tuple) else [
            (argnums, values)]:
        result[i] = v
    return result


def grad_and_value(
    func: Function, argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns the gradient and the value of a function of one number.

    Args:
        func: returns a 0-d tensor, or that and anything if ``has_aux``.
        argnums: which positional arguments to differentiate by; the gradient has their nesting.
        has_aux: the value is then (value, the rest).
    """

    @functools.wraps(func)
    def both(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        with enable_grad():
            chosen = _chosen(args, argnums)
            check_tensors("grad", chosen)
            tracked = mapped(tracking.tracked, chosen)
            result = func(*_replaced(args, argnums, tracked), **kwargs)
            value, aux = result if has_aux else (result, None)
            if not isinstance(value, Tensor) or value.ndim:
                got = f"a tensor with {value.ndim} dims" if isinstance(value, Tensor) else (
                    type(value).__name__)
                raise RuntimeError(
                    "Expected the function given to grad to return a scalar tensor, got " + got)
            closed = tracking.is_closed((value, aux), leaves(tracked))
            found = tracking.gradients(
                [value], leaves(tracked), [value.detach() * 0 + 1], keep=not closed)
        slopes = tracking.settled(rebuilt(chosen, iter(found)), closed)
        value, aux = tracking.settled(value, closed), tracking.settled(aux, closed)
        return slopes, ((value, aux) if has_aux else value)

    return both


def grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of a function of one number; arguments as for
    ``grad_and_value``."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def slope(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return slope


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """The outputs of a function, and a function from cotangents of the outputs' nesting to
    gradients of the inputs."""
    with enable_grad():
        check_tensors("vjp", primals)
        tracked = mapped(tracking.tracked, primals)
        result = func(*tracked)
        outputs, aux = result if has_aux else (result, None)
        outs = check_tensors("vjp", outputs)
        closed = tracking.is_closed((outputs, aux), leaves(tracked))

    def back(cotangents: Any) -> Any:
        with enable_grad():
            vectors = check_tensors("vjp", cotangents)
            if [v.shape for v in vectors] != [o.shape for o in outs]:
                raise RuntimeError(
                    "Expected pytree structure and shapes of cotangents to be those of the "
                    f"outputs: {[list(o.shape) for o in outs]}, got "
                    f"{[list(v.shape) for v in vectors]}")
            inner = closed and not any(v.requires_grad for v in vectors)
            found = tracking.gradients(outs, leaves(tracked), vectors, keep=not inner)
        results = tracking.settled(rebuilt(primals, iter(found)), inner)
        return results[0] if len(primals) == 1 else results

    values = tracking.settled(outputs, closed)
    return (values, back, tracking.settled(aux, closed)) if has_aux else (values, back)


def jvp(
    func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> Any:
    """The outputs of a function, and their change along tangents of the inputs.

    Raises:
        RuntimeError: if primals and tangents do not match.
    """
    points, along = check_tensors("jvp", primals), check_tensors("jvp", tangents)
    if [p.shape for p in points] != [t.shape for t in along]:
        raise RuntimeError(
            "jvp(func, primals, tangents): Expected primals and tangents to have the same "
            "structure and shapes")
    level = DualLevel()
    with level:
        duals = [dual(level, p, t) for p, t in zip(points, along, strict=True)]
        result = func(*rebuilt(primals, iter(duals)))
        outputs, aux = result if has_aux else (result, None)
        pairs = [unpacked(level, out) for out in check_tensors("jvp", outputs)]
        if strict and any(pair.tangent is None for pair in pairs):
            raise RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the "
                "inputs. This is not allowed with strict=True.")
        moved = [p.detach() * 0 if t is None else t for p, t in pairs]
        if has_aux:
            aux = mapped(lambda x: unpacked(level, x).primal if isinstance(x, Tensor) else x, aux)
    results = rebuilt(outputs, iter([p for p, _ in pairs])), rebuilt(outputs, iter(moved))
    return (*results, aux) if has_aux else results


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """The outputs of a function, and its derivative there as a function of tangents."""
    outputs, _ = jvp(func, primals, mapped(lambda x: x * 0, primals))

    def along(*tangents: Any) -> Any:
        return jvp(func, primals, tangents)[1]

    return outputs, along
