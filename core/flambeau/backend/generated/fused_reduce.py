"""Composites that are one reduction: means, variances, truth, counts, norms, extremes with places.

Each declines what it does not compute as the decomposition would; that then runs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided
from flambeau.backend.generated.reduce import (
    ARGUMENTS,
    Reducer,
    States,
    argument,
    formula,
    only,
    primitive,
)
from flambeau.codegen.kernels.states import Exponentials, Moments, State
from flambeau.codegen.reduction import ArgReduction, Reduction, parse_reduction
from flambeau.dtypes import dtype
from flambeau.layout import Layout
from flambeau.promotion import reduced_dims, reduced_shape

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend
    from flambeau.codegen.dialects.base import Index

NORMS: Final = {
    0: Reduction("0.0", "acc + x", "x != 0 ? 1.0 : 0.0"),
    1: Reduction("0.0", "acc + x", "abs(x)"),
    2: Reduction("0.0", "acc + x", "x * x", "sqrt(acc)"),
    math.inf: Reduction("0.0", "maximum(acc, x)", "abs(x)"),
    -math.inf: Reduction("highest", "minimum(acc, x)", "abs(x)"),
}
"""By their order; any other is a number of this one:"""
NORM: Final = Reduction("0.0", "acc + x", "pow(abs(x), p)", "pow(acc, 1.0 / p)")


def floating(element: dtype) -> dtype | None:
    """Real floating values stay what they are."""
    return element if element.category == 2 else None


def truth(element: dtype) -> dtype:
    """A question in uint8 is answered in uint8, as in PyTorch."""
    return element if element is dtypes.uint8 else dtypes.bool


def _state(make: type[Moments] | type[Exponentials], results: int) -> States:
    """The states of real floating values."""

    def states(
        element: dtype, out: dtype | None, index: Index
    ) -> tuple[State, tuple[dtype, ...]] | None:
        if element.category != 2:
            return None
        return make("f64" if element is dtypes.float64 else "f32"), (element,) * results

    return states


def table(backend: GeneratedBackend) -> KernelTable:
    """Fused kernels of composites."""
    result = KernelTable()
    result.fresh["mean"] = _mean(backend)
    result.fresh["nansum"] = _nansum(backend)
    result.fresh["variance"] = _variance(backend)
    result.fresh["vector_norm"] = _norm(backend)
    count = Reducer(backend, "count_nonzero", formula(
        Reduction("0", "acc + x", "x != 0 ? 1 : 0"), lambda element: dtypes.int64))
    result.fresh["count_nonzero"] = lambda x, dim: only(count.run(x, dim, False))
    result.fresh["logsumexp"] = primitive(
        Reducer(backend, "logsumexp", _state(Exponentials, 1)))[1]
    result.fresh["all"] = _truth(backend, "all", Reduction("true", "acc && x", "x != 0"))
    result.fresh["any"] = _truth(backend, "any", Reduction("false", "acc || x", "x != 0"))
    for name, extreme in (("max_along", "argmax"), ("min_along", "argmin")):
        parsed = parse_reduction(ARGUMENTS[extreme])
        assert isinstance(parsed, ArgReduction)
        result.fresh[name] = Reducer(backend, name, argument(parsed, True), True).run
    return result


def _mean(backend: GeneratedBackend) -> Any:
    reducer = Reducer(backend, "mean", formula(
        Reduction("0", "acc + x", final="acc / n"), floating))

    def mean(x: Strided, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
        return NotImplemented if dtype is not None else only(reducer.run(x, dim, keepdim))

    return mean


def _nansum(backend: GeneratedBackend) -> Any:
    reducer = Reducer(backend, "nansum", formula(
        Reduction("0", "acc + x", "isnan(x) ? 0.0 : x"), floating))

    def nansum(x: Strided, dim: Any, keepdim: bool, dtype: Any) -> Any:
        return NotImplemented if dtype is not None else only(reducer.run(x, dim, keepdim))

    return nansum


def _truth(backend: GeneratedBackend, name: str, reduction: Reduction) -> Any:
    reducer = Reducer(backend, name, formula(reduction, truth))

    def holds(x: Strided, dim: Any = None, keepdim: bool = False) -> Any:
        if dim.__class__ in (tuple, list) and not dim:
            return NotImplemented
        return only(reducer.run(x, dim, keepdim))

    return holds


def _variance(backend: GeneratedBackend) -> Any:
    reducer = Reducer(backend, "variance", _state(Moments, 2))

    def variance(x: Strided, dim: Any, correction: Any, keepdim: bool) -> Any:
        shape = x.layout.shape
        dims = reduced_dims(dim, len(shape))
        count = math.prod(shape if dims is None else [shape[d] for d in dims])
        if not count:
            return NotImplemented
        found = reducer.run(x, dims, keepdim, None, [float(max(0, count - correction))])
        if found is NotImplemented:
            return found
        spread, centre = found
        kept = Layout.contiguous(reduced_shape(shape, dims, True))
        return spread, Strided(centre.buffer, centre.dtype, kept)

    return variance


def _norm(backend: GeneratedBackend) -> Any:
    known = {order: Reducer(backend, "vector_norm", formula(reduction, floating),
                            math.isinf(order))
             for order, reduction in NORMS.items()}
    other = Reducer(backend, "vector_norm", formula(NORM, floating, ("p",)))

    def vector_norm(x: Strided, ord: Any, dim: Any, keepdim: bool, dtype: Any) -> Any:
        if dtype is not None:
            return NotImplemented
        reducer = known.get(ord)
        if reducer is not None:
            return only(reducer.run(x, dim, keepdim))
        return only(other.run(x, dim, keepdim, None, [float(ord)]))

    return vector_norm
