"""Derivatives as functions.  They nest: each level differentiates by aliases of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flambeau.autograd import engine
from flambeau.autograd.functional import jvp as _push
from flambeau.autograd.functional import unit
from flambeau.autograd.grad_mode import MODE, enable_grad
from flambeau.func.tree import check_tensors, leaves, mapped, rebuilt
from flambeau.tensor import Tensor

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


def _tracked(x: Tensor) -> Tensor:
    """An alias to differentiate by, connected to the tensor if an outer transform tracks that."""
    if x.requires_grad and MODE.enabled:
        return x.view_as(x)
    return x.detach().requires_grad_()


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


def _is_outermost(args: Any) -> bool:
    """Whether no transform around this one tracks the arguments."""
    return not any(isinstance(x, Tensor) and x.requires_grad for x in leaves(args))


def _settled(tree: Any, is_outermost: bool) -> Any:
    if not is_outermost:
        return tree
    return mapped(lambda x: x.detach() if isinstance(x, Tensor) else x, tree)


def _gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Any,
               keep: bool = True) -> list[Tensor]:
    pairs = [(o, v) for o, v in zip(outputs, vectors, strict=True) if o.requires_grad]
    found: Any = [None] * len(inputs)
    if pairs:
        found = engine.grad([o for o, _ in pairs], list(inputs), [v for _, v in pairs],
                            create_graph=keep, retain_graph=True, allow_unused=True)
    return [x.new_zeros(x.shape) if g is None else g for g, x in zip(found, inputs, strict=True)]


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
            outermost = _is_outermost((args, kwargs))
            chosen = _chosen(args, argnums)
            check_tensors("grad", chosen)
            tracked = mapped(_tracked, chosen)
            result = func(*_replaced(args, argnums, tracked), **kwargs)
            value, aux = result if has_aux else (result, None)
            if not isinstance(value, Tensor) or value.ndim:
                got = f"a tensor with {value.ndim} dims" if isinstance(value, Tensor) else (
                    type(value).__name__)
                raise RuntimeError(
                    "Expected the function given to grad to return a scalar tensor, got " + got)
            found = _gradients(
                [value], leaves(tracked), [value.detach() * 0 + 1], keep=not outermost)
        slopes = _settled(rebuilt(chosen, iter(found)), outermost)
        value, aux = _settled(value, outermost), _settled(aux, outermost)
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
        outermost = _is_outermost(primals)
        check_tensors("vjp", primals)
        tracked = mapped(_tracked, primals)
        result = func(*tracked)
        outputs, aux = result if has_aux else (result, None)
        outs = check_tensors("vjp", outputs)

    def back(cotangents: Any) -> Any:
        with enable_grad():
            vectors = check_tensors("vjp", cotangents)
            if [v.shape for v in vectors] != [o.shape for o in outs]:
                raise RuntimeError(
                    "Expected pytree structure and shapes of cotangents to be those of the "
                    f"outputs: {[list(o.shape) for o in outs]}, got "
                    f"{[list(v.shape) for v in vectors]}")
            inner = _is_outermost(cotangents) and outermost
            found = _gradients(outs, leaves(tracked), vectors, keep=not inner)
        results = _settled(rebuilt(primals, iter(found)), inner)
        return results[0] if len(primals) == 1 else results

    values = _settled(outputs, outermost)
    return (values, back, _settled(aux, outermost)) if has_aux else (values, back)


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
    seen: list[Any] = []

    def flat(*xs: Tensor) -> tuple[Tensor, ...]:
        result = func(*rebuilt(primals, iter(xs)))
        outputs, aux = result if has_aux else (result, None)
        seen[:] = [outputs, aux]
        return tuple(check_tensors("jvp", outputs))

    outermost = _is_outermost((primals, tangents))
    outs, moved = _push(flat, tuple(points), tuple(along), create_graph=not outermost,
                        strict=strict)
    outputs, aux = seen
    results = rebuilt(outputs, iter(outs)), rebuilt(outputs, iter(moved))
    return (*results, _settled(aux, outermost)) if has_aux else results


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """The outputs of a function, and its derivative there as a function of tangents."""
    outputs, _ = jvp(func, primals, mapped(lambda x: x * 0, primals))

    def along(*tangents: Any) -> Any:
        return jvp(func, primals, tangents)[1]

    return outputs, along


# ---- whole Jacobians ---------------------------------------------------------------------------
def _stacked(rows: list[Tensor], shape: Sequence[int], like: Tensor, dim: int) -> Any:
    from flambeau.ops.join import stack

    return stack(rows, dim).reshape(tuple(shape)) if rows else like.new_zeros(tuple(shape))


def jacrev(
    func: Function, argnums: Argnums = 0, *, has_aux: bool = False,
    chunk_size: int | None = None,
) -> Function:
    """A function that returns the Jacobian, row by row.

    Args:
        func: takes and returns tensors or nested tuples, lists and dictionaries of them.
        argnums: which positional arguments to differentiate by.
        has_aux: the function returns (outputs, anything).
        chunk_size: accepted for PyTorch's sake; rows are computed one after the other.

    Returns:
        A function whose result has the outputs' nesting, and in each output's place that of the
        chosen arguments, with tensors of both shapes, one after the other.
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen = _chosen(args, argnums)

        def of_chosen(x: Any) -> Any:
            return func(*_replaced(args, argnums, x), **kwargs)

        outputs, back, *aux = vjp(of_chosen, chosen, has_aux=has_aux)
        outs, inputs = check_tensors("jacrev", outputs), leaves(chosen)
        blocks = []
        for k, out in enumerate(outs):
            rows = []
            for i in range(out.numel()):
                cotangents = [
                    unit(out, i) if j == k else o.new_zeros(o.shape) for j, o in enumerate(outs)]
                rows.append(leaves(back(rebuilt(outputs, iter(cotangents)))))
            blocks.append(rebuilt(chosen, iter([
                _stacked([row[j] for row in rows], (*out.shape, *x.shape), x, 0)
                for j, x in enumerate(inputs)])))
        table = rebuilt(outputs, iter(blocks))
        return (table, aux[0]) if has_aux else table

    return jacobian


def jacfwd(
    func: Function, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """A function that returns the Jacobian, column by column; as ``jacrev`` otherwise."""

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen = _chosen(args, argnums)
        inputs = check_tensors("jacfwd", chosen)

        def of_chosen(x: Any) -> Any:
            return func(*_replaced(args, argnums, x), **kwargs)

        columns: list[list[list[Tensor]]] = []
        zeros = [x.new_zeros(x.shape) for x in inputs]
        outputs, _, *aux = jvp(
            of_chosen, (chosen,), (rebuilt(chosen, iter(zeros)),), has_aux=has_aux)
        for j, x in enumerate(inputs):
            columns.append([])
            for i in range(x.numel()):
                along = [unit(x, i) if m == j else z for m, z in enumerate(zeros)]
                moved = jvp(of_chosen, (chosen,), (rebuilt(chosen, iter(along)),),
                            has_aux=has_aux)[1]
                columns[j].append(leaves(moved))
        blocks = [
            rebuilt(chosen, iter([
                _stacked([c[k] for c in columns[j]], (*out.shape, *x.shape), x, -1)
                for j, x in enumerate(inputs)]))
            for k, out in enumerate(leaves(outputs))]
        table = rebuilt(outputs, iter(blocks))
        return (table, aux[0]) if has_aux else table

    return jacobian


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """A function that returns the second derivatives: the Jacobian of the Jacobian."""
    return jacrev(jacrev(func, argnums), argnums)
