"""Batching rules: an op on samples as one op on whole batches.

The batch is dimension 0 of every batched tensor, so a rule moves what names dimensions by one.
Elementwise ops follow from their formulas; the other families are listed in ``NAMED``.  An op
that is in no list is decomposed, so a rule for a composite is there for speed, one for a
primitive because there is nothing to decompose.

A rule is ``rule(level, op, args)``; NotImplemented leaves the op to its decomposition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import TYPE_CHECKING, Any, Final

from flambeau import dispatch, dtypes
from flambeau.func.tree import remade
from flambeau.layout import wrap_dim, wrap_dims
from flambeau.registry import OPS, Op
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.func.batching import Level

Rule = Callable[["Level", Op, tuple[Any, ...]], Any]


def _run(op: Op, *args: Any) -> Any:
    if op.kind == "view":
        return dispatch.call_view(op, args[0], args[1:])
    return dispatch.call(op, args)


# ---- elementwise -------------------------------------------------------------------------------
_ELEMENTWISE: Final = frozenset((
    "angle", "softshrink", "digamma", "polygamma", "zeta", "erfcx", "ndtr", "log_ndtr", "ndtri",
    "entr", "xlog1py", "frexp", "igamma", "igammac", "select_where"))
"""Elementwise ops whose formula is not written down."""


def is_pointwise(op: Op) -> bool:
    """Whether an op computes every element from those at the same place."""
    return op.name in _ELEMENTWISE or (
        (op.formula is not None or op.template in ("unary", "binary"))
        and op.name not in ("matmul", "to_copy", "arange_steps"))


def pointwise(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """Line samples up by their last dimensions, as broadcasting does."""
    tensors = dispatch.tensors_of(op, args)
    return level.wrapped(_run(op, *_lined_up(level, args, max(t.ndim for t in tensors))))


def aligned_write(level: Level, op: Op, args: tuple[Any, ...]) -> None:
    """Run the in-place form of an elementwise op on whole batches."""
    assert op.inplace_function is not None
    first, *rest = _lined_up(level, args, args[0].ndim)
    named = {
        a.name: v for a, v in zip(op.schema.arguments[1:], rest, strict=True) if a.keyword_only}
    op.inplace_function(first, *rest[: len(rest) - len(named)], **named)


def _lined_up(level: Level, args: tuple[Any, ...], ndim: int) -> list[Any]:
    owned = [a for a in args if level.owns(a)]
    kept = [a for a in args if isinstance(a, Tensor) and a.ndim]
    result = []
    for a in args:
        if level.owns(a):
            value = a._value
            if not a.ndim and kept and len({t._kind for t in (*owned, *kept)}) > 1:
                value = _weakened(value, a, kept)
            lacking = ndim - a.ndim
            if lacking > 0:
                value = value.reshape((value.shape[0], *(1,) * lacking, *value.shape[1:]))
            a = value
        result.append(a)
    return result


def _weakened(value: Tensor, sample: Tensor, others: Iterable[Tensor]) -> Tensor:
    """A batch of numbers in the dtype that a single number of it would take on.

    A tensor without dimensions gives way to one that has some, and the batch has one.
    """
    strong = dtypes.result_type([(t.dtype, t.ndim, None) for t in others])
    met = dtypes.result_type([(strong, 1, None), (sample.dtype, 0, None)])
    return value.to(met) if met is strong else value


# ---- dimensions by number ----------------------------------------------------------------------
def _along(*names: str, every: tuple[str, ...] = (), lead: int = 0) -> Rule:
    """A rule for an op whose arguments of these names are dimensions of its first tensor.

    Args:
        every: of these, those for which None or () means all dimensions.
        lead: dimensions that a result may have more than the tensor (a ``dim`` of the result).
    """

    def rule(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
        first = args[0]
        ndim = first.ndim
        if not ndim and not lead:
            return _of_scalar(level, op, args, names, every)
        values = []
        for argument, value in zip(op.schema.arguments, args, strict=True):
            if argument.name in names:
                value = _moved(value, ndim + lead, argument.name in every)
                if value is None:
                    return NotImplemented
            elif isinstance(value, Tensor):
                if argument.name == "index" and value.ndim <= 1:
                    if level.owns(value):
                        return NotImplemented
                else:
                    value = level.batch_of(value)
            values.append(value)
        return level.wrapped(_run(op, *values))

    return rule


def _moved(dims: Any, ndim: int, is_every: bool) -> Any:
    """Dimensions of a sample as those of the batch; None if they are not given."""
    if dims is None or dims == ():
        return tuple(range(1, ndim + 1)) if is_every else (None if dims is None else ())
    if isinstance(dims, (tuple, list)):
        return tuple(d + 1 for d in wrap_dims(dims, ndim)) or (
            tuple(range(1, ndim + 1)) if is_every else ())
    return wrap_dim(dims, ndim) + 1


def _of_scalar(
    level: Level, op: Op, args: tuple[Any, ...], names: tuple[str, ...], every: tuple[str, ...]
) -> Any:
    """A rule for samples without dimensions: they are given one, and the results lose it."""
    values = []
    for argument, value in zip(op.schema.arguments, args, strict=True):
        if argument.name in names:
            if value is not None and not (argument.name in every and value == ()):
                for d in value if isinstance(value, (tuple, list)) else (value,):
                    wrap_dim(d, 0)
            elif argument.name not in every:
                return NotImplemented
            value = (1,) if argument.is_list else 1
        elif isinstance(value, Tensor):
            if argument.name == "index":
                return NotImplemented
            value = level.batch_of(value)
            value = value.unsqueeze(1) if value.ndim == 1 else value
        values.append(value)
    results = _run(op, *values)
    if isinstance(results, Tensor):
        return level.wrapped(results.reshape((level.size,)))
    flat = [r.reshape((level.size,)) for r in results]
    return level.wrapped(remade(results, flat))


def _flattening(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """A reduction whose ``dim=None`` means all elements as one dimension."""
    first, dim, keepdim, *rest = args
    if dim is not None:
        return _along("dim")(level, op, args)
    result = _run(op, level.batch_of(first).reshape((level.size, -1)), 1, False, *rest) if (
        first.numel()) else NotImplemented
    if result is NotImplemented:
        return result
    return level.wrapped(
        result.reshape((level.size, *(1,) * first.ndim)) if keepdim else result)


# ---- dimensions after the batch ----------------------------------------------------------------
def _leading(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """An op on the last dimensions, for which any number of dimensions may lead."""
    return level.wrapped(_run(op, *(
        level.batch_of(a) if isinstance(a, Tensor) else a for a in args)))


def _view_dtype(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    return _leading(level, op, args) if args[0].ndim else NotImplemented


def _only_first(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """As ``_leading`` if only the first tensor is batched: weights serve all samples."""
    if any(level.owns(a) for a in args[1:]):
        return NotImplemented
    return level.wrapped(_run(op, args[0]._value, *args[1:]))


def _folded(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """An op on samples of (N, ...): the batch becomes part of N."""
    if any(level.owns(a) for a in args[1:]):
        return NotImplemented
    results = _run(op, _fold(args[0]._value), *args[1:])
    return level.wrapped(
        _unfold(results, level.size) if isinstance(results, Tensor)
        else remade(results, [_unfold(r, level.size) for r in results]))


def _fold(t: Tensor) -> Tensor:
    return t.reshape((t.shape[0] * t.shape[1], *t.shape[2:]))


def _unfold(t: Tensor, size: int) -> Tensor:
    count = t.shape[0] // size if size else 0
    return t.reshape((size, count, *t.shape[1:]))


# ---- views -------------------------------------------------------------------------------------
def _permute(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, dims = args
    if len(dims) != t.ndim:
        raise RuntimeError(
            f"permute: the tensor has {t.ndim} dimensions, but the order given names {len(dims)}")
    return level.wrapped(_run(op, t._value, (0, *(d + 1 for d in wrap_dims(dims, t.ndim)))))


def _t(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    (t,) = args
    if t.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {t.ndim}D")
    return level.wrapped(t._value.transpose(1, 2) if t.ndim == 2 else _run(
        OPS["alias"], t._value))


def _transpose(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, a, b = args
    if not t.ndim:
        return level.wrapped(_run(OPS["alias"], t._value))
    return level.wrapped(
        _run(op, t._value, wrap_dim(a, t.ndim) + 1, wrap_dim(b, t.ndim) + 1))


def _view(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, size = args
    size = tuple(map(int, size))
    if -1 in size:
        at, known = size.index(-1), prod(n for n in size if n != -1)
        if size.count(-1) > 1 or not known or t.numel() % known:
            op.rule(t.layout_(), size)  # type: ignore[misc]  # says what is wrong
        size = (*size[:at], t.numel() // known, *size[at + 1:])
    if prod(size) != t.numel():
        op.rule(t.layout_(), size)  # type: ignore[misc]  # says what is wrong
    return level.wrapped(_run(op, t._value, (level.size, *size)))


def _unsqueeze(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, dim = args
    return level.wrapped(_run(op, t._value, wrap_dim(dim, t.ndim + 1) + 1))


def _squeeze(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, dim = args
    if dim is None:
        dims = tuple(d for d, n in enumerate(t.shape) if n == 1)
    else:
        dims = wrap_dims(dim if isinstance(dim, (tuple, list)) else (dim,), t.ndim)
    if not dims or not t.ndim:
        return level.wrapped(_run(OPS["alias"], t._value))
    return level.wrapped(_run(op, t._value, tuple(d + 1 for d in dims)))


def _alias(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    return level.wrapped(_run(op, args[0]._value))


def _expand(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, size = args
    lacking = len(size) - t.ndim
    if lacking < 0:
        op.rule(t.layout_(), size)  # type: ignore[misc]  # says what is wrong
    value = t._value
    for _ in range(lacking):
        value = value.unsqueeze(1)
    if lacking and any(n == -1 for n in size[:lacking]):
        op.rule(t.layout_(), size)  # type: ignore[misc]  # says what is wrong
    return level.wrapped(_run(op, value, (level.size, *size)))


def _part(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, dim, *rest = args
    if not t.ndim:
        return level.wrapped(_run(op, t._value.unsqueeze(1), 1, *rest)) if (
            op.name == "unfold_dim") else _refused_view(op, t, args)
    return level.wrapped(_run(op, t._value, wrap_dim(dim, t.ndim) + 1, *rest))


def _refused_view(op: Op, t: Tensor, args: tuple[Any, ...]) -> Any:
    op.rule(t.layout_(), *args[1:])  # type: ignore[misc]  # says what is wrong
    raise AssertionError(f"{op.name} takes no tensor without dimensions")


def _diagonal(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, offset, a, b = args
    return level.wrapped(
        _run(op, t._value, offset, wrap_dim(a, t.ndim) + 1, wrap_dim(b, t.ndim) + 1))


def _as_strided(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, size, stride, offset = args
    value = t._value
    start = value.storage_offset() if offset is None else offset
    return level.wrapped(
        _run(op, value, (level.size, *size), (value.stride(0), *stride), start))


# ---- copies ------------------------------------------------------------------------------------
def _copy(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    target, source, *rest = args
    lined = _lined_up(level, (source,), target.ndim)[0]
    return level.wrapped(_run(op, level.batch_of(target), lined, *rest))


def _fill(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, value = args
    if isinstance(value, Tensor):
        if value.ndim:
            op.rule(t, value)  # type: ignore[misc]  # says what is wrong
        return level.wrapped(_run(OPS["copy"], level.batch_of(t), *_lined_up(
            level, (value,), t.ndim), False))
    return level.wrapped(_run(op, t._value, value))


def _masked_fill(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, mask, value = args
    if not isinstance(value, Tensor) or value.ndim or not level.owns(value):
        return pointwise(level, op, args)
    with level:
        return OPS["where"].function(mask, value.to(t.dtype), t)


def _to_copy(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, what, where, order = args
    return level.wrapped(_in_order(op, t._value, what, where, order))


def _in_order(op: Op, value: Tensor, what: Any, where: Any, order: Any) -> Tensor:
    """A copy in a memory format, which counts the dimensions of a sample."""
    if getattr(order, "name", "") in ("channels_last", "channels_last_3d"):
        folded = _run(op, _fold(value), what, where, order)
        return _unfold(folded, value.shape[0])
    result: Tensor = _run(op, value, what, where, order)
    return result


# ---- joining -----------------------------------------------------------------------------------
def _joined(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    tensors, dim = args
    ndim = max(t.ndim for t in tensors) + (op.name == "stack")
    whole = [level.batch_of(t) for t in tensors if op.name == "stack" or t.shape != (0,)]
    return level.wrapped(_run(op, whole, wrap_dim(dim, ndim) + 1)) if whole else NotImplemented


# ---- products ----------------------------------------------------------------------------------
def _matmul(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    a, b = args
    if not a.ndim or not b.ndim or a.shape[-1] != b.shape[-2 if b.ndim > 1 else -1]:
        op.rule(a, b)  # type: ignore[misc]  # says what is wrong
    if not level.owns(b) and b.ndim <= 2:
        return level.wrapped(_run(op, a._value, b))
    if not level.owns(a) and a.ndim == 2 and b.ndim == 1:
        return level.wrapped(_run(op, b._value, a.t()))
    x = level.batch_of(a) if level.owns(a) else a
    y = level.batch_of(b) if level.owns(b) else b
    x = x.unsqueeze(-2) if a.ndim == 1 else x
    y = y.unsqueeze(-1) if b.ndim == 1 else y
    ndim = max(a.ndim, b.ndim, 2)
    result = _run(op, _raised(level, a, x, ndim), _raised(level, b, y, ndim))
    result = result.squeeze(-2) if a.ndim == 1 else result
    return level.wrapped(result.squeeze(-1) if b.ndim == 1 else result)


def _raised(level: Level, sample: Tensor, value: Tensor, ndim: int) -> Tensor:
    """A batch of arrays of matrices with as many dimensions as another, counted in samples."""
    lacking = ndim - max(sample.ndim, 2)
    if not level.owns(sample) or not lacking:
        return value
    return value.reshape(
        (value.shape[0], *(1,) * lacking, *value.shape[1:]))


def _linear(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    input, weight, bias = args
    if not level.owns(weight) and not level.owns(bias):
        return level.wrapped(_run(op, input._value, weight, bias))
    with level:
        out = OPS["matmul"].function(input, weight.t() if weight.ndim == 2 else weight)
        return out if bias is None else out + bias


def _convolution(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """Samples join the batch of the convolution; kernels of their own make them its groups."""
    input, weight, bias, stride, padding, dilation, transposed, extra, groups = args
    rest = (stride, padding, dilation, transposed, extra)
    if not level.owns(weight) and not level.owns(bias):
        return _folded(level, op, args)
    w, n, size = level.batch_of(weight), input.shape[0], level.size
    out = _run(op, _beside(level, input), _fold(w), None, *rest, groups * size)
    out = out.reshape((n, size, out.shape[1] // size, *out.shape[2:])).movedim(1, 0)
    if bias is not None:
        b = level.batch_of(bias)
        out = out + b.reshape((size, 1, b.shape[1], *(1,) * (out.ndim - 3)))
    return level.wrapped(out)


def _convolution_input_grad(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    grad, weight, size, *rest, groups = args
    if not level.owns(weight):
        whole = (level.size * size[0], *size[1:])
        return level.wrapped(_unfold(
            _run(op, _fold(grad._value), weight, whole, *rest, groups), level.size))
    whole = (size[0], level.size * size[1], *size[2:])
    result = _run(op, _beside(level, grad), _fold(weight._value), whole, *rest,
                  groups * level.size)
    result = result.reshape((size[0], level.size, *size[1:]))
    return level.wrapped(result.movedim(1, 0))


def _convolution_weight_grad(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    grad, input, size, *rest, groups = args
    whole = (level.size * size[0], *size[1:])
    if groups == 1 and not level.owns(input):  # all gradients meet the same channels
        result = _run(op, _beside(level, grad), input, whole, *rest, 1)
    else:
        result = _run(op, _beside(level, grad), _beside(level, input), whole, *rest,
                      groups * level.size)
    return level.wrapped(_unfold(result, level.size))


def _beside(level: Level, t: Tensor) -> Tensor:
    """Samples of (N, C, ...) as one tensor (N, samples * C, ...)."""
    whole = level.batch_of(t).movedim(0, 1)
    return whole.reshape(
        (whole.shape[0], whole.shape[1] * whole.shape[2], *whole.shape[3:]))


def _pooled(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """The adjoints of pooling, which are told the size of what was pooled."""
    values = []
    for argument, value in zip(op.schema.arguments, args, strict=True):
        if isinstance(value, Tensor):
            value = _fold(level.batch_of(value))
        elif argument.name == "size":
            value = (level.size * value[0], *value[1:])
        values.append(value)
    return level.wrapped(_unfold(_run(op, *values), level.size))


def _attention(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    query, key, value, mask, *rest = args
    if mask is not None or not query.ndim == key.ndim == value.ndim or not (
        query.shape[:-2] == key.shape[:-2] == value.shape[:-2]) or query.ndim < 3:
        return NotImplemented
    folded = [_fold(level.batch_of(t)) for t in (query, key, value)]
    return level.wrapped(tuple(
        _unfold(r, level.size) for r in _run(op, *folded, None, *rest)))


# ---- at places given by tensors ----------------------------------------------------------------
def _at_index(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    """gather, scatter and their kin: the index has as many dimensions as the tensor."""
    t, dim, *rest = args
    ndim = t.ndim
    values = [level.batch_of(v) if isinstance(v, Tensor) else v for v in rest]
    whole = level.batch_of(t)
    if not ndim:
        wrap_dim(dim, 0)
        values = [v.reshape((level.size, -1)) if isinstance(v, Tensor) else v for v in values]
        result = _run(op, whole.unsqueeze(1), 1, *values)
        shape = t.shape if op.name != "gather" else rest[0].shape
        return level.wrapped(result.reshape((level.size, *shape)))
    values = [
        v.reshape((level.size, *(1,) * (ndim + 1 - v.ndim), *v.shape[1:]))
        if isinstance(v, Tensor) and v.ndim <= ndim else v for v in values]
    return level.wrapped(_run(op, whole, wrap_dim(dim, ndim) + 1, *values))


def _index(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, indices = args
    given = [i for i in indices if i is not None]
    if any(level.owns(i) and i.dtype in (dtypes.bool, dtypes.uint8) for i in given):
        _refuse_masks()
    if any(level.owns(i) for i in given):
        return NotImplemented
    dims = _dims_of(indices)
    result = _run(op, t._value, [None, *indices])
    if _are_neighbours(dims):
        return level.wrapped(result)
    lead = result.ndim - 1 - (t.ndim - len(dims))
    return level.wrapped(result.movedim(lead, 0))


def _index_put(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    if any(i is not None and level.owns(i) and i.dtype in (dtypes.bool, dtypes.uint8)
           for i in args[1]):
        _refuse_masks()
    return NotImplemented


def _dims_of(indices: Any) -> list[int]:
    """The dimensions that indices stand for; a mask stands for as many as it has."""
    dims: list[int] = []
    at = 0
    for i in indices:
        count = i.ndim if i is not None and i.dtype in (dtypes.bool, dtypes.uint8) else 1
        if i is not None:
            dims += range(at, at + count)
        at += count
    return dims


def _are_neighbours(dims: list[int]) -> bool:
    return bool(dims) and dims[-1] - dims[0] == len(dims) - 1


def _refuse_masks() -> None:
    from flambeau.func.batched import Unbatchable

    raise Unbatchable(
        "vmap: We do not support batching operators that can support dynamic shape: a boolean "
        "mask that differs from sample to sample selects different numbers of elements. Use "
        "where() or masked_fill().")


# ---- the rest ----------------------------------------------------------------------------------
def _repeat(level: Level, op: Op, args: tuple[Any, ...]) -> Any:
    t, repeats = args
    lacking = len(repeats) - t.ndim
    if lacking < 0:
        return NotImplemented
    value = t._value.reshape((level.size, *(1,) * lacking, *t.shape))
    return level.wrapped(_run(op, value, (1, *repeats)))


def _table() -> dict[str, Rule]:
    every = _along("dim", every=("dim",))
    along = _along("dim")
    return {
        "permute": _permute, "t": _t, "transpose": _transpose, "view": _view, "expand": _expand,
        "unsqueeze": _unsqueeze, "squeeze": _squeeze, "alias": _alias, "select": _part,
        "slice_dim": _part, "unfold_dim": _part, "diagonal": _diagonal,
        "as_strided_view": _as_strided, "copy": _copy, "fill": _fill, "masked_fill": _masked_fill,
        "to_copy": _to_copy,
        "cat": _joined, "stack": _joined, "matmul": _matmul, "linear": _linear,
        "convolution": _convolution, "attention": _attention, "repeat": _repeat,
        "view_dtype": _view_dtype,
        "index": _index, "index_put": _index_put,
        **dict.fromkeys(("sum", "amax", "amin", "mean", "variance", "vector_norm", "logsumexp"),
                        every),
        **dict.fromkeys(("prod", "argmax", "argmin"), _flattening),
        **dict.fromkeys((
            "cumsum", "sort_stable", "softmax_along", "log_softmax_along", "cummax_along",
            "cummin_along", "max_along", "min_along", "kth_along", "median_along", "mode_along",
            "topk_along", "index_select", "index_add", "index_copy", "select_scatter",
            "slice_scatter", "fft_complex", "fft_half", "fft_real"), along),
        "flip": _along("dims"),
        "diagonal_scatter": _along("dim1", "dim2"),
        "diag_embed": _along("dim1", "dim2", lead=1),
        **dict.fromkeys((
            "gather", "scatter_elements", "scatter_add", "scatter_reduce"), _at_index),
        **dict.fromkeys((
            "triangular_solution", "solution", "inverse_of", "determinant", "sign_and_logarithm",
            "eigh_factor", "eig_factor", "svd_factor", "least_squares", "cholesky_factor",
            "lu_packed", "pivots_to_rows", "qr_factor", "reflectors", "ldl_packed",
            "ldl_solution", "view_as_real", "view_as_complex", "tril", "triu", "matrix_exp",
            "constant_pad_nd"), _leading),
        **dict.fromkeys(("native_layer_norm", "rms_norm"), _only_first),
        **dict.fromkeys(("max_pool_windows", "max_pool_values", "avg_pool_windows"), _folded),
        **dict.fromkeys(("max_pool_scatter", "max_pool_gather", "avg_pool_spread"), _pooled),
        "convolution_input_grad": _convolution_input_grad,
        "convolution_weight_grad": _convolution_weight_grad,
    }


NAMED: Final = _table()
"""Rules by the name of the op."""
