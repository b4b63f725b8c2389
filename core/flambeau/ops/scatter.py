"""Scatter with a choice of what is written, and of how it is combined."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from flambeau.layout import wrap_dim
from flambeau.ops.compare import where
from flambeau.ops.index import each_once, gather, scatter_add, scatter_elements, widened, zeros_of
from flambeau.ops.pointwise import maximum, minimum, mul
from flambeau.ops.shape import expand
from flambeau.ops.writing import writes_through
from flambeau.promotion import number
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor


def _scatter_samples(make: Make) -> Iterator[Sample]:
    order = each_once(make, 3, 4)
    yield sample(make(3, 4), 0, order, make(3, 4))
    yield sample(make(5, 4), 0, order, make(3, 5))
    yield sample(make(3, 4), 1, each_once(make, 4, 3).t(), 1.5)
    yield sample(make(3, 4), 1, each_once(make, 4, 3).t(), value=2)
    yield sample(make(), 0, make.index(1, 1), 1.5)


def _scatter_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "int64", make(3, 4), 0, make(3, 4), make(3, 4))
    yield error(RuntimeError, "add or multiply", make(3), 0, make.index(3, 2), 1.0, reduce="max")
    yield error(TypeError, "src", make(3), 0, make.index(3, 2))
    yield error((IndexError, RuntimeError), "out of bounds",  # type: ignore[arg-type]
                make(3), 0, make.index(1, 2) + 3, 1.0)


@composite(
    "scatter(Tensor self, int dim, Tensor index, Operand? src=None, *, Scalar? value=None, "
    "str? reduce=None) -> Tensor",
    dtypes="all", inplace=True, samples=_scatter_samples, errors=_scatter_errors,
)
def scatter(
    self: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """A copy with ``out[index[i][j]][j] = src[i][j]`` for dimension 0, and so on.

    Args:
        src: a tensor, or a number for every place; the number may also be given as ``value``.
        reduce: "add" or "multiply" to combine with what is there.
    """
    src = _source(src, value)
    if reduce is None:
        written: Tensor = scatter_elements(self, dim, index, src)
        return written
    if reduce not in ("add", "multiply"):
        raise RuntimeError("scatter(): reduce argument must be either add or multiply.")
    if not isinstance(src, Tensor):
        src = index.new_full(index.shape, number(src, self.dtype), dtype=self.dtype)
    result: Tensor = scatter_reduce(
        self, dim, index, src, "sum" if reduce == "add" else "prod", include_self=True)
    return result


def _source(src: Any, value: Any) -> Any:
    if (src is None) == (value is None):
        raise TypeError("scatter() takes either 'src' or 'value', a tensor or a number")
    return value if src is None else src


def _scatter_(
    self: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """``scatter`` in place."""
    inplace = _general_scatter_ if reduce is not None else None
    if inplace is not None:
        written: Tensor = inplace(self, dim, index, src, value=value, reduce=reduce)
        return written
    written = scatter_elements.op.inplace_function(  # type: ignore[attr-defined]
        self, dim, index, _source(src, value))
    return written


_general_scatter_ = scatter.op.inplace_function  # type: ignore[attr-defined]
setattr(Tensor, "scatter_", _scatter_)  # noqa: B010


# ---- reductions --------------------------------------------------------------------------------
REDUCTIONS: Final = ("sum", "prod", "mean", "amax", "amin")


def _reduce_samples(make: Make) -> Iterator[Sample]:
    for how in REDUCTIONS:
        for own in (True, False):
            yield Sample((make(3, 4), 0, make.index(3, 5, 4), make(5, 4), how),
                         {"include_self": own}, name=f"{how}_{own}")
        yield Sample((make(4, 3).t(), 1, make.index(4, 2, 6), make(3, 6), how),
                     name=f"{how}_transposed")
    yield Sample((make(3), 0, make.index(3, 0), make(2), "sum"), name="nothing")


def _reduce_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "sum, prod, mean, amax or amin", make(3), 0, make.index(3, 2),
                make(2), "max")
    yield error(RuntimeError, "src.dtype", make(3), 0, make.index(3, 2), make.index(3, 2), "sum")


def _reduce_back(
    g: Tensor, needs: tuple[bool, ...], self: Tensor, dim: int, index: Tensor, src: Tensor,
    reduce: str, include_self: bool, out: Tensor,
) -> tuple[Any, None, Any]:
    """Gradients as PyTorch defines them: equal extremes share, zeros in products are exact."""
    if not index.numel():
        return g, None, zeros_of(g, src.shape)
    if reduce == "sum":
        for_self, for_index = g, gather(g, dim, index)
    elif reduce == "mean":
        for_self, for_index = _mean_back(g, dim, index, include_self)
    elif reduce == "prod":
        for_self, for_index = _prod_back(g, self, dim, index, _part(src, index), include_self, out)
    else:
        for_self, for_index = _extreme_back(
            g, self, dim, index, _part(src, index), include_self, out)
    if not include_self:
        for_self = scatter_elements(for_self, dim, index, 0)
    return for_self, None, widened(for_index, src.shape) if src.ndim else for_index.sum()


def _part(src: Tensor, index: Tensor) -> Tensor:
    """The corner of a source that an index uses."""
    for d, n in enumerate(index.shape):
        if src.ndim and src.shape[d] != n:
            src = src.narrow(d, 0, n)
    return src


def _mean_back(
    g: Tensor, dim: int, index: Tensor, include_self: bool
) -> tuple[Tensor, Tensor]:
    counts = _counts(g, dim, index, include_self)
    return g / counts, gather(g / counts, dim, index)


def _counts(like: Tensor, dim: int, index: Tensor, include_self: bool) -> Tensor:
    """How many values each element was made of, 1 where there was none."""
    start = like.new_full(like.shape, 1 if include_self else 0)
    counted: Tensor = scatter_add(start, dim, index, like.new_ones(index.shape))
    return counted if include_self else where(counted == 0, 1, counted)


def _prod_back(
    g: Tensor, self: Tensor, dim: int, index: Tensor, src: Tensor, include_self: bool, out: Tensor
) -> tuple[Tensor, Tensor]:
    safe_self = where(self == 0, 1, self)
    without = scatter_reduce(safe_self, dim, index, src, "prod", include_self=include_self)
    for_self = g * without / safe_self
    zero = src == 0
    zeros = gather(
        scatter_add(zeros_of(g, self.shape), dim, index, zero.to(g.dtype)), dim, index)
    alone = zero & (zeros == 1)
    others = scatter_reduce(
        self, dim, index, where(alone, 1, src), "prod", include_self=include_self)
    for_src = where(
        alone, gather(g * others, dim, index), gather(g * out, dim, index) / where(zero, 1, src))
    return for_self, for_src


def _extreme_back(
    g: Tensor, self: Tensor, dim: int, index: Tensor, src: Tensor, include_self: bool, out: Tensor
) -> tuple[Tensor, Tensor]:
    own = (self == out).to(g.dtype)
    if not include_self:
        own = scatter_elements(own, dim, index, 0)
    theirs = (src == gather(out, dim, index)).to(g.dtype)
    shared = g / scatter_add(own, dim, index, theirs)
    return own * shared, theirs * gather(shared, dim, index)


@writes_through
@composite(
    "scatter_reduce(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, "
    "bool include_self=True) -> Tensor",
    dtypes="real", inplace=True, joint=_reduce_back, samples=_reduce_samples,
    errors=_reduce_errors,
)
def scatter_reduce(
    self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool = True
) -> Tensor:
    """A copy in which the values of ``src`` that an index sends to one place are combined.

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether the value at the place before takes part.
    """
    if reduce not in REDUCTIONS:
        raise RuntimeError(
            f"scatter_reduce(): reduce argument must be either sum, prod, mean, amax or amin, "
            f"got {reduce}.")
    if not index.numel():
        return self.clone()
    if not self.ndim:
        result = scatter_reduce(
            self.reshape(1), 0, index.reshape(-1), src.reshape(-1), reduce,
            include_self=include_self)
        return result.reshape(())  # type: ignore[no-any-return]
    dim = wrap_dim(dim, self.ndim)
    if reduce in ("sum", "mean"):
        start = self if include_self else scatter_elements(self, dim, index, 0)
        total: Tensor = scatter_add(start, dim, index, src)
        if reduce == "sum":
            return total
        counts = _counts(self, dim, index, include_self)
        mean: Tensor = total.div(
            counts, rounding_mode=None if self.dtype.category > 1 else "floor")
        return mean
    if src.dtype is not self.dtype:
        raise RuntimeError("scatter_reduce(): Expected self.dtype to be equal to src.dtype, got "
                           f"{self.dtype.name} and {src.dtype.name}")
    return _by_sorting(self, dim, index.long(), _part(src, index), _COMBINE[reduce], include_self)


_COMBINE: Final[dict[str, Callable[..., Any]]] = {
    "prod": mul, "amax": maximum, "amin": minimum}


def _by_sorting(
    self: Tensor, dim: int, index: Tensor, src: Tensor, combine: Callable[..., Any],
    include_self: bool,
) -> Tensor:
    """Combine values that go to one place with operations that every backend has.

    Sorted by place, equal places are neighbours: a running combination in log2(n) doubling
    steps that does not cross places leaves each place's result at its last value.
    """
    from flambeau.ops.join import cat
    from flambeau.ops.sorting import sort_stable

    keys, order = sort_stable(index, dim)
    values = gather(src, dim, order)
    n, reach = keys.shape[dim], 1
    while reach < n:
        same = keys.narrow(dim, reach, n - reach) == keys.narrow(dim, 0, n - reach)
        late = values.narrow(dim, reach, n - reach)
        merged = where(same, combine(values.narrow(dim, 0, n - reach), late), late)
        values = cat([values.narrow(dim, 0, reach), merged], dim)
        reach *= 2
    # All but the last value of a place are sent to an extra slice that is cut off again.
    size = self.shape[dim]
    last = keys.narrow(dim, 1, n - 1) != keys.narrow(dim, 0, n - 1)
    ends = cat([last, expand(last.new_ones(()), keys.narrow(dim, 0, 1).shape)], dim)
    places = where(ends, keys, size)
    extra = self.narrow(dim, 0, 1)
    start = cat([self, extra], dim)
    if include_self:
        inner = where(ends, keys, 0)
        values = combine(values, gather(start, dim, inner))
    written: Tensor = scatter_elements(start, dim, places, values)
    return written.narrow(dim, 0, size)
