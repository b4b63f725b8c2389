"""Derivatives of functions: the names of ``torch.autograd.functional``.

Functions take one tensor or a tuple of them and return one or a tuple.  Products with a Jacobian
from the right are made of two products from the left (J v is linear in v, and the derivative of
``J^T u`` with respect to u).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.autograd.engine import grad
from flambeau.autograd.grad_mode import enable_grad
from flambeau.tensor import Tensor

Function = Callable[..., Any]


def _tuple(value: Any, name: str, what: str) -> tuple[bool, tuple[Tensor, ...]]:
    """Whether it was a tuple, and it as one.

    Raises:
        TypeError: for anything but tensors.
    """
    is_tuple = isinstance(value, tuple)
    values = value if is_tuple else (value,)
    for i, v in enumerate(values):
        if not isinstance(v, Tensor):
            place = f"at index {i} " if is_tuple else ""
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the "
                f"value {place}has type {type(v)}.")
    return is_tuple, values


def _inputs(inputs: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    """Tensors to differentiate by: connected to the given ones if the graph is to be kept."""
    return tuple(
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
        for x in inputs)


def _outputs(name: str, func: Function, inputs: tuple[Tensor, ...]) -> Any:
    return _tuple(func(*inputs), name, "outputs of the user-provided function")


def _vectors(
    name: str, v: Any, of: tuple[Tensor, ...], is_tuple: bool, what: str
) -> tuple[Tensor, ...]:
    """The vectors of a product, checked; ones if there is one element.

    Raises:
        RuntimeError: if they are not given and needed, or do not match.
    """
    if v is None:
        if len(of) != 1 or of[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if the {what} is a single Tensor with one element")
        return (of[0].detach() * 0 + 1,)
    _, vectors = _tuple(v, name, "v")
    if len(vectors) != len(of):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(of)} but got {len(vectors)}.")
    for i, (vector, x) in enumerate(zip(vectors, of, strict=True)):
        if vector.shape != x.shape:
            raise RuntimeError(
                f"Entry {i} in v has invalid size: should be {x.shape} but got {vector.shape}.")
    return vectors


def _grads(
    outputs: Any, inputs: Any, vectors: Any, create_graph: bool, strict: bool, words: str
) -> tuple[Tensor, ...]:
    """Gradients, zeros where there is no dependence.

    Raises:
        RuntimeError: if ``strict`` and there is none.
    """
    pairs = [(o, v) for o, v in zip(outputs, vectors, strict=True) if o.requires_grad]
    found: Any = (None,) * len(inputs)
    if pairs:
        found = grad(
            [o for o, _ in pairs], inputs, [v for _, v in pairs], create_graph=create_graph,
            retain_graph=True, allow_unused=True)
    if strict and any(g is None for g in found):
        raise RuntimeError(f"{words} is independent of an input. This is not allowed in strict "
                           "mode.")
    return tuple(x * 0 if create_graph and g is None else x.new_zeros(x.shape) if g is None else g
                 for g, x in zip(found, inputs, strict=True))


def _finished(values: tuple[Tensor, ...], create_graph: bool, is_tuple: bool) -> Any:
    kept = values if create_graph else tuple(v.detach() for v in values)
    return kept if is_tuple else kept[0]


def vjp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs, and the product of a vector with the Jacobian.

    Args:
        func: takes and returns tensors.
        inputs: a tensor or a tuple of them.
        v: of the outputs' shapes; may be None for one output with one element.
        create_graph: results can be differentiated again.
        strict: refuse outputs that do not depend on an input.
    """
    with enable_grad():
        is_tuple, given = _tuple(inputs, "vjp", "inputs")
        xs = _inputs(given, create_graph)
        outs_are_tuple, outs = _outputs("vjp", func, xs)
        vectors = _vectors("vjp", v, outs, outs_are_tuple, "output of the user-provided function")
        result = _grads(outs, xs, vectors, create_graph, strict,
                        "The output of the user-provided function")
    return _finished(outs, create_graph, outs_are_tuple), _finished(result, create_graph, is_tuple)


def jvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs, and the product of the Jacobian with a vector (arguments as for ``vjp``)."""
    with enable_grad():
        _, given = _tuple(inputs, "jvp", "inputs")
        xs = _inputs(given, create_graph)
        vectors = _vectors("jvp", v, xs, isinstance(inputs, tuple), "input")
        is_tuple, outs = _outputs("jvp", func, xs)
        result = _pushed(outs, xs, vectors, create_graph, strict)
    return _finished(outs, create_graph, is_tuple), _finished(result, create_graph, is_tuple)


def _pushed(
    outs: tuple[Tensor, ...], xs: tuple[Tensor, ...], vectors: tuple[Tensor, ...],
    create_graph: bool, strict: bool,
) -> tuple[Tensor, ...]:
    probes = tuple((o.detach() * 0).requires_grad_() for o in outs)
    through = _grads(outs, xs, probes, True, strict, "The output of the user-provided function")
    return _grads(through, probes, vectors, create_graph, False, "The Jacobian")


def jacobian(
    func: Function, inputs: Any, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: for each output and each input a tensor of both shapes, one after the other.

    Args:
        func: takes and returns tensors.
        inputs: a tensor or a tuple of them.
        create_graph: the result can be differentiated again.
        strict: refuse outputs that do not depend on an input.
        vectorize: accepted for PyTorch's sake; rows are computed one after the other.
        strategy: "reverse-mode", a row at a time, or "forward-mode", a column at a time.

    Raises:
        ValueError: for another strategy.
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode", got ' + strategy)
    with enable_grad():
        is_tuple, given = _tuple(inputs, "jacobian", "inputs")
        xs = _inputs(given, create_graph)
        outs_are_tuple, outs = _outputs("jacobian", func, xs)
        make = _by_rows if strategy == "reverse-mode" else _by_columns
        table = make(outs, xs, create_graph, strict)
    rows = tuple(_finished(row, create_graph, is_tuple) for row in table)
    return rows if outs_are_tuple else rows[0]


def unit(like: Tensor, at: int) -> Tensor:
    """Zeros of a tensor's shape, with a one at a place of the flattened tensor."""
    flat = like.new_zeros(like.numel())
    flat[at] = 1
    return flat.reshape(like.shape)


def _by_rows(outs: Any, xs: Any, create_graph: bool, strict: bool) -> list[tuple[Tensor, ...]]:
    from flambeau.ops.join import stack

    table = []
    for out in outs:
        rows = [
            _grads((out,), xs, (unit(out.detach(), i),), create_graph, strict,
                   "An output of the user-provided function")
            for i in range(out.numel())]
        table.append(tuple(
            stack([row[j] for row in rows]).reshape((*out.shape, *x.shape)) if rows
            else x.new_zeros((*out.shape, *x.shape)) for j, x in enumerate(xs)))
    return table


def _by_columns(outs: Any, xs: Any, create_graph: bool, strict: bool) -> list[tuple[Tensor, ...]]:
    from flambeau.ops.join import stack

    columns: list[list[list[Tensor]]] = [[[] for _ in xs] for _ in outs]
    for j, x in enumerate(xs):
        for i in range(x.numel()):
            vectors = tuple(
                unit(other.detach(), i) if other is x else other.new_zeros(other.shape)
                for other in xs)
            for k, part in enumerate(_pushed(outs, xs, vectors, create_graph, strict)):
                columns[k][j].append(part)
    return [tuple(
        stack(columns[k][j], -1).reshape((*out.shape, *x.shape)) if columns[k][j]
        else x.new_zeros((*out.shape, *x.shape)) for j, x in enumerate(xs))
        for k, out in enumerate(outs)]


def _scalar(name: str, func: Function) -> Function:
    """The function, checked to return one number."""

    def checked(*xs: Tensor) -> Tensor:
        is_tuple, outs = _outputs(name, func, xs)
        if is_tuple or outs[0].numel() != 1:
            raise RuntimeError(
                f"The function given to {name} should return a single Tensor with a single element")
        return outs[0].reshape(())  # type: ignore[no-any-return]

    return checked


def hessian(
    func: Function, inputs: Any, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function that returns one number; arguments as for
    ``jacobian``."""
    is_tuple, given = _tuple(inputs, "hessian", "inputs")
    scalar = _scalar("hessian", func)

    def slope(*xs: Tensor) -> Any:
        return jacobian(scalar, xs, create_graph=True)

    table = jacobian(slope, given, create_graph, strict, vectorize, outer_jacobian_strategy)
    return table if is_tuple else table[0][0]


def vhp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a function that returns one number, and the product of a vector with its
    second derivatives."""
    with enable_grad():
        is_tuple, given = _tuple(inputs, "vhp", "inputs")
        xs = _inputs(given, create_graph)
        vectors = _vectors("vhp", v, xs, is_tuple, "input to the user-provided function")
        out = _scalar("vhp", func)(*xs)
        slopes = _grads((out,), xs, (out.detach() * 0 + 1,), True, strict, "The output")
        result = _grads(slopes, xs, vectors, create_graph, strict, "The gradient")
    return _finished((out,), create_graph, False), _finished(result, create_graph, is_tuple)


def hvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The same as ``vhp``: second derivatives are symmetric."""
    return vhp(func, inputs, v, create_graph, strict)
