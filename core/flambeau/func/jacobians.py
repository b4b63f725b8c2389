"""Whole Jacobians and Hessians: all rows, or all columns, by one ``vmap``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from flambeau.func.transforms import Argnums, Function, _chosen, _replaced, jvp, vjp
from flambeau.func.tree import check_tensors, leaves, rebuilt
from flambeau.func.vmap import vmap
from flambeau.tensor import Tensor


def _basis(tensors: Sequence[Tensor]) -> list[Tensor]:
    """For each tensor the unit vectors of all together, stacked in a new dimension 0."""
    total, at, made = sum(t.numel() for t in tensors), 0, []
    for t in tensors:
        whole = t.detach().new_zeros((total, t.numel()))
        whole[at : at + t.numel()].diagonal().fill_(1)
        made.append(whole.reshape((total, *t.shape)))
        at += t.numel()
    return made


def _pieces(table: Tensor, tensors: Sequence[Tensor], dim: int) -> list[Tensor]:
    """A dimension of all unit vectors split into those of each tensor, in its shape."""
    parts = table.split([t.numel() for t in tensors], dim)
    return [
        p.reshape((*p.shape[:dim], *t.shape, *p.shape[dim + 1:]))
        for p, t in zip(parts, tensors, strict=True)]


def jacrev(
    func: Function, argnums: Argnums = 0, *, has_aux: bool = False,
    chunk_size: int | None = None,
) -> Function:
    """A function that returns the Jacobian, all rows at once.

    Args:
        func: takes and returns tensors or nested tuples, lists and dictionaries of them.
        argnums: which positional arguments to differentiate by.
        has_aux: the function returns (outputs, anything).
        chunk_size: how many rows to compute at a time, to bound the memory; all if None.

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
        outs = check_tensors("jacrev", outputs)

        def row(*cotangents: Tensor) -> tuple[Tensor, ...]:
            return tuple(leaves(back(rebuilt(outputs, iter(cotangents)))))

        tables = vmap(row, randomness="same", chunk_size=chunk_size)(*_basis(outs))
        columns = [_pieces(table, outs, 0) for table in tables]
        result = rebuilt(outputs, iter([
            rebuilt(chosen, iter([column[k] for column in columns])) for k in range(len(outs))]))
        return (result, aux[0]) if has_aux else result

    return jacobian


def jacfwd(
    func: Function, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """A function that returns the Jacobian, all columns at once; as ``jacrev`` otherwise.

    Args:
        randomness: as for ``vmap``, over the columns.
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen = _chosen(args, argnums)
        inputs = check_tensors("jacfwd", chosen)
        seen: list[Any] = []

        def of_chosen(x: Any) -> Any:
            return func(*_replaced(args, argnums, x), **kwargs)

        def column(*tangents: Tensor) -> tuple[Any, ...]:
            outputs, moved, *aux = jvp(
                of_chosen, (chosen,), (rebuilt(chosen, iter(tangents)),), has_aux=has_aux)
            seen[:] = [outputs]
            return (*leaves(moved), *aux)

        places: Any = 0
        if has_aux:
            columns, aux = _with_aux(column, inputs, randomness)
        else:
            columns = vmap(column, out_dims=places, randomness=randomness)(*_basis(inputs))
        tables = []
        for table in columns:
            last = table.movedim(0, -1)
            tables.append(rebuilt(chosen, iter(_pieces(last, inputs, last.ndim - 1))))
        result = rebuilt(seen[0], iter(tables))
        return (result, aux) if has_aux else result

    return jacobian


def _with_aux(column: Any, inputs: Sequence[Tensor], randomness: str) -> tuple[Any, Any]:
    """The columns, and what else the function returns, which is the same for all of them."""
    notes: list[Any] = []

    def only_columns(*tangents: Tensor) -> Any:
        *moved, aux = column(*tangents)
        notes[:] = [aux]
        return tuple(moved)

    columns = vmap(only_columns, randomness=randomness)(*_basis(inputs))
    from flambeau.func.batched import BatchedTensor
    from flambeau.func.tree import mapped

    def first(x: Any) -> Any:
        return x._value.select(0, 0) if isinstance(x, BatchedTensor) else x

    return columns, mapped(first, notes[0])


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """A function that returns the second derivatives: forward mode over reverse mode."""
    return jacfwd(jacrev(func, argnums), argnums)
