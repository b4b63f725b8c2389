"""``vmap``: a function of one sample as a function of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from flambeau import random
from flambeau.func.batched import BatchedTensor
from flambeau.func.batching import RANDOMNESS, Level, enter, leave
from flambeau.func.tree import remade
from flambeau.tensor import Tensor

Function = Callable[..., Any]
_NESTED = (tuple, list, dict)


def vmap(
    func: Function, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *,
    chunk_size: int | None = None,
) -> Function:
    """A function that computes another for all samples of a batch at once.

    Within ``func`` tensors look like single samples; ops on them run on whole batches.  Calls
    nest, and compose with ``grad``, ``vjp``, ``jvp`` and the Jacobians.

    Args:
        func: takes and returns tensors, or nested tuples, lists and dictionaries of them.
        in_dims: which dimension of each positional argument counts the samples, None for an
            argument that is the same for all; a number for all arguments, or a tuple with one
            for each, which may be nested as the argument is. Keyword arguments are the same
            for all.
        out_dims: where each output gets the dimension of the samples; None for an output that
            does not depend on them.
        randomness: "error" refuses random numbers, "different" draws them for every sample,
            "same" once for all.
        chunk_size: compute that many samples at a time, to bound the memory.

    Raises:
        ValueError: if ``in_dims`` or ``out_dims`` does not fit, or sizes differ.
    """
    if randomness not in RANDOMNESS:
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}")
    if chunk_size is not None and not (chunk_size == int(chunk_size) and chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        name = getattr(func, "__name__", repr(func))
        values, dims = _inputs(name, in_dims, args)
        size = _batch_size(name, values, dims)
        if chunk_size is None or chunk_size >= size:
            return _map(func, name, values, dims, args, kwargs, size, out_dims, randomness)
        state = random.get_rng_state() if randomness == "same" else None
        chunks = []
        for start in range(0, size, chunk_size):
            count = min(chunk_size, size - start)
            part = [v if d is None else v.narrow(d, start, count)
                    for v, d in zip(values, dims, strict=True)]
            if state is not None:
                random.set_rng_state(state)
            chunks.append(
                _map(func, name, part, dims, args, kwargs, count, out_dims, randomness))
        return _joined(chunks, out_dims)

    return mapped


def _map(
    func: Function, name: str, values: list[Any], dims: list[Any], args: Any, kwargs: Any,
    size: int, out_dims: Any, randomness: str,
) -> Any:
    level = Level(size, randomness)
    with level:
        samples = iter([
            v if d is None else enter(v, level, d) for v, d in zip(values, dims, strict=True)])
        outputs = func(*_refilled(args, samples), **kwargs)
    flat = list(_leaves(outputs))
    for out in flat:
        if not isinstance(out, Tensor):
            raise ValueError(
                f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(out)}. "
                "Did you mean to set out_dims= to None for output?")
    places = _spread(outputs, out_dims, lambda: (
        f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the "
        "structure of outputs. out_dims has to be a number or nested as the outputs are"))
    return _refilled(outputs, iter([
        _left(o, level, d, name) for o, d in zip(flat, places, strict=True)]))


def _left(out: Tensor, level: Level, dim: Any, name: str) -> Tensor:
    if dim is None:
        if level.owns(out):
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is "
                "None: the output differs from sample to sample")
        return out
    if not isinstance(dim, int) or not -out.ndim - 1 <= dim <= out.ndim:
        raise IndexError(
            f"vmap({name}, ...): out_dim {dim} is out of range for an output with {out.ndim} "
            f"dimensions: expected to be in range of [{-out.ndim - 1}, {out.ndim}]")
    return leave(out, level, dim % (out.ndim + 1))


# ---- the structure of arguments ----------------------------------------------------------------
def _leaves(tree: Any) -> Iterator[Any]:
    """What is no tuple, list or dictionary; unlike elsewhere, None counts."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, (tuple, list)):
        for item in tree:
            yield from _leaves(item)
    else:
        yield tree


def _refilled(tree: Any, values: Iterator[Any]) -> Any:
    if isinstance(tree, dict):
        return type(tree)((k, _refilled(v, values)) for k, v in tree.items())
    if isinstance(tree, (tuple, list)):
        items = [_refilled(item, values) for item in tree]
        return remade(tree, items)
    return next(values)


def _spread(tree: Any, dims: Any, words: Callable[[], str]) -> list[Any]:
    """One dimension for each leaf: a number serves all that lies below it."""
    if not isinstance(tree, _NESTED):
        if isinstance(dims, tuple) and len(dims) == 1 and not isinstance(dims[0], tuple):
            dims = dims[0]
        if isinstance(dims, _NESTED):
            raise ValueError(f"{words()}.")
        return [dims]
    if dims is None or isinstance(dims, int):
        return [dims] * len(list(_leaves(tree)))
    if isinstance(tree, dict):
        if not isinstance(dims, dict) or dims.keys() != tree.keys():
            raise ValueError(f"{words()}.")
        return [d for k, item in tree.items() for d in _spread(item, dims[k], words)]
    if not isinstance(dims, (tuple, list)) or len(dims) != len(tree):
        raise ValueError(f"{words()}.")
    return [d for item, part in zip(tree, dims, strict=True) for d in _spread(item, part, words)]


def _inputs(name: str, in_dims: Any, args: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
    """The leaves of the arguments, and the batch dimension of each."""
    head = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple, list)):
        raise ValueError(
            f"{head}expected `in_dims` to be int or a (potentially nested) tuple matching the "
            f"structure of inputs, got: {type(in_dims)}.")
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
            "trying to vmap over a function with no inputs. The latter is unsupported.")
    values = list(_leaves(args))
    dims = _spread(args, tuple(in_dims) if isinstance(in_dims, list) else in_dims, lambda: (
        f"{head}in_dims is not compatible with the structure of inputs. in_dims has to be a "
        f"number, or a tuple of {len(args)} that are nested as the inputs are"))
    for i, (value, dim) in enumerate(zip(values, dims, strict=True)):
        if dim is None:
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{head}Got in_dim={dim} for an input but in_dim must be either an integer "
                "dimension or None.")
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{head}Got in_dim={dim} for an input but the input is of type {type(value)}. We "
                "cannot vmap over non-Tensor arguments, please use None as the respective in_dim")
        if not -value.ndim <= dim < value.ndim:
            raise ValueError(
                f"{head}Got in_dim={dim} for some input, but that input is a Tensor of "
                f"dimensionality {value.ndim} so expected in_dim to satisfy "
                f"-{value.ndim} <= in_dim < {value.ndim}.")
        dims[i] = dim % value.ndim
    return values, dims


def _batch_size(name: str, values: list[Any], dims: list[Any]) -> int:
    sizes = [v.shape[d] for v, d in zip(values, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError(
            f"vmap({name}): in_dims says that no input has a dimension to map over; at least one "
            "must not be None")
    if any(n != sizes[0] for n in sizes):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension")
    return int(sizes[0])


def _joined(chunks: list[Any], out_dims: Any) -> Any:
    from flambeau.ops.join import cat

    places = _spread(chunks[0], out_dims, lambda: "vmap: out_dims does not fit the outputs")
    columns = zip(*(list(_leaves(c)) for c in chunks), strict=True)
    return _refilled(chunks[0], iter([
        column[0] if d is None else cat(list(column), d)
        for column, d in zip(columns, places, strict=True)]))


def debug_unwrap(tensor: Any, *, recurse: bool = True) -> Any:
    """The batch that a tensor within ``vmap`` stands for; for printing and debuggers only.

    Args:
        recurse: through all levels of ``vmap``, not only the innermost one.
    """
    while isinstance(tensor, BatchedTensor):
        tensor = tensor._value
        if not recurse:
            break
    return tensor
