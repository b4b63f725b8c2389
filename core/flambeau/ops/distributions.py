"""Tensors filled from random distributions, in place and from tensors of parameters.

The values of an in-place op go to memory in the order of the strides, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from flambeau import dispatch, dtypes, rng
from flambeau.autograd.grad_mode import MODE
from flambeau.device import CPU, META
from flambeau.interop import host_array
from flambeau.kind import Kind, kind_of
from flambeau.layout import Layout, broadcast_shapes
from flambeau.modes import is_watched
from flambeau.ops.create import creation_kind, sizes_of, zeros_like
from flambeau.ops.random import (
    Sampler,
    bound,
    draw,
    draw_like,
    in_memory_order,
    place,
    source,
)
from flambeau.registry import OpFunction, composite
from flambeau.samples import ErrorSample, Make, Sample, error, sample
from flambeau.tensor import Tensor, from_storage

Array = np.ndarray[Any, Any]


def _no_gradient(g: Tensor) -> Tensor:
    """The gradient of what is overwritten, or of a parameter that a draw does not depend on."""
    return zeros_like(g)


def _fill_samples(*arguments: Any) -> Callable[[Make], Iterator[Sample]]:
    def samples(make: Make) -> Iterator[Sample]:
        yield Sample((make(3, 4), *arguments), name="small")
        yield Sample((make(5, 7), *arguments), name="contiguous")
        yield Sample((make(7, 5).t(), *arguments), name="transposed")
        yield Sample((make(6, 8)[::2, ::2], *arguments), name="strided")
        yield Sample((make(), *arguments), name="0d")
        yield Sample((make(0, 3), *arguments), name="empty")

    return samples


def _fill_errors(match: str, *arguments: Any) -> Callable[[Make], Iterator[ErrorSample]]:
    def errors(make: Make) -> Iterator[ErrorSample]:
        yield error(RuntimeError, match, make(3), *arguments)
        yield error(TypeError, "must be Tensor", 3, *arguments)
        yield error(TypeError, "generator", make(3), *arguments, generator=1)

    return errors


def _filling(
    signature: str, dtypes: str, samples: Any, errors: Any
) -> Callable[[OpFunction], OpFunction]:
    """Register an op of which ``Tensor`` gets the in-place form only."""
    return composite(
        signature, namespaces=("_internal",), inplace=True, out=False, is_random=True,
        dtypes=dtypes, derivatives={"self": _no_gradient}, samples=samples, errors=errors)


# ---- in place ----------------------------------------------------------------------------------
@_filling(
    "uniform(Tensor self, float from=0, float to=1, *, Generator? generator=None) -> Tensor",
    "floating_complex", _fill_samples(-1.0, 2.0), _fill_errors("from=2.0 > to=1.0", 2.0, 1.0))
def uniform(self: Tensor, low: float, high: float, generator: Any) -> Tensor:
    """Numbers uniform in [from, to)."""
    return draw_like(
        self._kind, self.layout_(), rng.uniform, generator, "uniform_", float(low), float(high))


@_filling(
    "normal(Tensor self, float mean=0, float std=1, *, Generator? generator=None) -> Tensor",
    "floating_complex", _fill_samples(1.0, 2.0), _fill_errors("std >= 0.0", 0.0, -1.0))
def normal_like(self: Tensor, mean: float, std: float, generator: Any) -> Tensor:
    """Normal numbers of the given mean and standard deviation."""
    layout = self.layout_()
    return draw_like(
        self._kind, layout, rng.normal, generator, "normal_", float(mean), float(std),
        contiguous=layout.is_contiguous)


@_filling(
    "log_normal(Tensor self, float mean=1, float std=2, *, Generator? generator=None) -> Tensor",
    "floating", _fill_samples(), _fill_errors("std > 0.0", 0.0, 0.0))
def log_normal(self: Tensor, mean: float, std: float, generator: Any) -> Tensor:
    """The exponential of normal numbers of the given mean and standard deviation."""
    return draw_like(
        self._kind, self.layout_(), rng.log_normal, generator, "log_normal_", float(mean),
        float(std))


@_filling(
    "cauchy(Tensor self, float median=0, float sigma=1, *, Generator? generator=None) -> Tensor",
    "floating", _fill_samples(), _fill_errors("sigma > 0.0", 0.0, 0.0))
def cauchy(self: Tensor, median: float, sigma: float, generator: Any) -> Tensor:
    """Cauchy numbers of the given median and half width ``sigma``."""
    return draw_like(
        self._kind, self.layout_(), rng.cauchy, generator, "cauchy_", float(median), float(sigma))


@_filling(
    "exponential(Tensor self, float lambd=1, *, Generator? generator=None) -> Tensor",
    "floating", _fill_samples(), _fill_errors("lambda > 0.0", 0.0))
def exponential(self: Tensor, lambd: float, generator: Any) -> Tensor:
    """Exponential numbers of the given rate."""
    return draw_like(
        self._kind, self.layout_(), rng.exponential, generator, "exponential_", float(lambd))


@_filling(
    "geometric(Tensor self, float p, *, Generator? generator=None) -> Tensor",
    "real", _fill_samples(0.3), _fill_errors("to be in", 1.5))
def geometric(self: Tensor, p: float, generator: Any) -> Tensor:
    """Numbers of trials up to the first success of chance ``p``."""
    return draw_like(self._kind, self.layout_(), rng.geometric, generator, "geometric_", float(p))


@_filling(
    "random(Tensor self, int? from=None, int? to=None, *, Generator? generator=None) -> Tensor",
    "real", _fill_samples(1, 5), _fill_errors("less than 'to'", 5, 2))
def integers(self: Tensor, low: int | None, high: int | None, generator: Any) -> Tensor:
    """Integers uniform in [from, to); without bounds, all non-negative ones of the dtype."""
    return draw_like(self._kind, self.layout_(), rng.random_, generator, "random_", low, high)


# ---- coins -------------------------------------------------------------------------------------
def _coin_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4, low=0.0, high=1.0))
    yield sample(make(4, 3, low=0.0, high=1.0).t())
    yield sample(make(3, 4), 0.25)
    yield sample(make(3, 4), make(4, low=0.0, high=1.0))
    yield sample(make(0, 4, low=0.0, high=1.0))


def _coin_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "in \\[0, 1\\]", make(3, low=2.0, high=3.0))
    yield error(RuntimeError, "in \\[0, 1\\]", make(3), 1.5)
    yield error(NotImplementedError, "int64", make.index(2, 3))
    yield error(TypeError, "must be Tensor", 0.5)


@composite(
    "bernoulli(Tensor self, Operand? p=None, *, Generator? generator=None) -> Tensor",
    is_random=True, dtypes="floating", samples=_coin_samples, errors=_coin_errors,
    derivatives={"self": _no_gradient, "p": lambda g, p: zeros_like(p)})
def bernoulli(self: Tensor, p: Any, generator: Any) -> Tensor:
    """1 with the chance that ``self`` gives for each element (or ``p``, in its shape), else 0."""
    layout = Layout.contiguous(self.shape)
    return _coins(self._kind, layout, self if p is None else p, generator)


@_filling(
    "bernoulli_fill(Tensor self, Operand p=0.5, *, Generator? generator=None) -> Tensor",
    "real", _fill_samples(0.3), _fill_errors("in \\[0, 1\\]", 1.5))
def bernoulli_fill(self: Tensor, p: Any, generator: Any) -> Tensor:
    """1 with chance ``p``, a number or a tensor that broadcasts to the shape, else 0."""
    return _coins(self._kind, in_memory_order(self.layout_()), p, generator)


def _coins(kind: Kind, layout: Layout, p: Any, generator: Any) -> Tensor:
    """Coins of chance ``p``, flipped in the order of a dense layout's memory."""
    if not isinstance(p, Tensor):
        return draw_like(kind, layout, _coins_of_chance, generator, "bernoulli_", float(p))
    if p.shape != layout.shape:
        p = from_storage(p._kind, p.storage_(), p.layout_().expand(layout.shape))
    if kind.device is META:
        return dispatch.empty(kind, layout)
    chances = host_array(p).transpose(layout.order()[::-1])
    coins = rng.bernoulli_probs(source(generator, "bernoulli"), chances)
    return place(kind, coins.ravel().astype(kind.dtype.numpy), layout)


def _coins_of_chance(
    generator: rng.Generator, shape: tuple[int, ...], dtype_name: str, p: float = 0.5
) -> Array:
    if dtype_name in ("complex64", "complex128"):
        raise NotImplementedError(f"bernoulli is not implemented for {dtype_name}")
    return rng.bernoulli_scalar(generator, shape, p).astype(dtypes.BY_NAME[dtype_name].numpy)


# ---- from parameters ---------------------------------------------------------------------------
def _category_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(5, low=0.1, high=1.0), 3)
    yield sample(make(3, 5, low=0.1, high=1.0), 1)
    yield sample(make(5, 3, low=0.1, high=1.0).t(), 2)
    yield sample(make(3, 5, low=0.1, high=1.0), 8, True)


def _category_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "n_sample <= 0", make(3, low=0.1, high=1.0), 0)
    yield error(RuntimeError, "without replacement", make(3, low=0.1, high=1.0), 4)
    yield error(RuntimeError, "1 or 2 dim", make(2, 2, 2, low=0.1, high=1.0), 1)
    yield error(RuntimeError, "element < 0", make(3, low=-1.0, high=-0.5), 1)


@composite(
    "multinomial(Tensor self, int num_samples, bool replacement=False, *, "
    "Generator? generator=None) -> Tensor",
    is_random=True, dtypes="floating", samples=_category_samples, errors=_category_errors)
def multinomial(self: Tensor, num_samples: int, replacement: bool, generator: Any) -> Tensor:
    """Indices (int64) of categories drawn in proportion to the weights in each row of ``self``."""
    kind = kind_of(self._kind.device, dtypes.int64)
    if kind.device is META:
        return dispatch.empty(kind, Layout.contiguous((*self.shape[:-1], num_samples)))
    weights = host_array(self)
    picked = rng.multinomial(source(generator, "multinomial"), weights, num_samples, replacement)
    return place(kind, picked)


def _rate_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4, low=0.0, high=30.0))
    yield sample(make(4, 3, low=0.0, high=30.0).t())
    yield sample(make(0, 3, low=0.0, high=30.0))


def _rate_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "non-negative", make(3, low=-2.0, high=-1.0))
    yield error(NotImplementedError, "int64", make.index(2, 3))
    yield error(TypeError, "must be Tensor", 0.5)


@composite(
    "poisson(Tensor self, Generator? generator=None) -> Tensor", method=False, out=False,
    is_random=True, dtypes="floating", samples=_rate_samples, errors=_rate_errors,
    derivatives={"self": _no_gradient})
def poisson(self: Tensor, generator: Any) -> Tensor:
    """Poisson numbers of the rates in ``self``."""
    if self._kind.device is META:
        return dispatch.empty(self._kind, Layout.contiguous(self.shape))
    return place(self._kind, rng.poisson(source(generator, "poisson"), host_array(self)))


# ---- normal of means and deviations ------------------------------------------------------------
def _normal_samples(make: Make) -> Iterator[Sample]:
    yield sample(make(3, 4), make(4, low=0.1, high=2.0))
    yield sample(make(3, 4), 0.5)
    yield sample(2.0, make(4, 3, low=0.1, high=2.0).t())
    yield sample(make(0, 4), 0.5)


def _normal_errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "std >= 0.0", make(3), -1.0)
    yield error(RuntimeError, "all elements of std >= 0.0", make(3), make(3, low=-2.0, high=-1.0))
    yield error(RuntimeError, "must match the size", make(3), make(2, low=0.1, high=1.0))


@composite(
    "normal_of(Operand mean, Operand std, *, Generator? generator=None) -> Tensor",
    namespaces=("_internal",), method=False, is_random=True, dtypes="floating",
    samples=_normal_samples, errors=_normal_errors, derivatives={
        "mean": lambda g, mean: zeros_like(mean), "std": lambda g, std: zeros_like(std)})
def normal_of(mean: Any, std: Any, generator: Any) -> Tensor:
    """Normal numbers with a mean and a deviation for each, of which one or both are tensors."""
    kind = (mean if isinstance(mean, Tensor) else std)._kind
    if not isinstance(std, Tensor):
        noise = draw(kind, mean.shape, rng.normal, generator, "normal", 0.0, float(std))
        return noise + mean  # type: ignore[no-any-return]
    if std.dtype.is_complex:
        raise RuntimeError("normal expects standard deviation to be non-complex")
    if kind.device is not META and not np.all(host_array(std) >= 0):
        raise RuntimeError("normal expects all elements of std >= 0.0")
    shape = broadcast_shapes(mean.shape, std.shape) if isinstance(mean, Tensor) else std.shape
    unit = draw(kind, shape, rng.normal, generator, "normal")
    return unit.mul_(std).add_(mean)  # two roundings, as PyTorch


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None,
    out: Tensor | None = None, dtype: dtypes.dtype | None = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:
    """Normal numbers of a mean and a standard deviation, each a number or a tensor.

    Args:
        size: shape of the result, if both are numbers.
    """
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        return normal_of(mean, std, generator=generator, out=out)  # type: ignore[no-any-return]
    if size is None:
        raise TypeError("normal() needs a size if mean and std are numbers: normal(0, 1, (2, 3))")
    shape = sizes_of("normal", tuple(size))
    if out is not None:
        dispatch.resize(out, shape)
        filled: Tensor = _inplace(normal_like)(out, mean, std, generator=generator)
        return filled
    kind = creation_kind(dtype, device)
    result = draw(kind, shape, rng.normal, generator, "normal", float(mean), float(std))
    return result.requires_grad_() if requires_grad else result


# ---- methods -----------------------------------------------------------------------------------
def _inplace(function: Any) -> Any:
    return function.op.inplace_function


def _is_plain(t: Tensor) -> bool:
    """Whether a tensor is row-major host memory that nobody watches: values go straight there."""
    return (
        not is_watched(t) and t._kind.device is CPU and t.layout_().is_contiguous
        and not (MODE.enabled and t.requires_grad)
    )


def _method(function: Any, name: str, sampler: Sampler) -> Any:
    """The in-place method of an op: short for plain tensors and numbers, else the op itself."""
    general = _inplace(function)

    def fill(self: Tensor, *arguments: Any, generator: Any = None, **named: Any) -> Tensor:
        simple = not arguments or (
            len(arguments) <= 2
            and all(a.__class__ is float or a.__class__ is int for a in arguments))
        if named or not simple or not _is_plain(self):
            return general(self, *arguments, generator=generator, **named)  # type: ignore[no-any-return]
        drawn = sampler(source(generator, name), self.shape, self._kind.dtype.name, *arguments)
        storage = self.storage_()
        np.copyto(self.native(), drawn)
        storage.version += 1
        return self

    fill.__name__ = fill.__qualname__ = name
    fill.__doc__ = general.__doc__
    return fill


for _function, _name, _sampler in (
    (uniform, "uniform_", rng.uniform), (normal_like, "normal_", rng.normal),
    (log_normal, "log_normal_", rng.log_normal), (cauchy, "cauchy_", rng.cauchy),
    (exponential, "exponential_", rng.exponential), (geometric, "geometric_", rng.geometric),
    (bernoulli_fill, "bernoulli_", _coins_of_chance),
):
    setattr(Tensor, _name, _method(_function, _name, _sampler))
_fill_with_integers = _method(integers, "random_", rng.random_)


def random_(self: Tensor, *bounds: Any, generator: Any = None, **named: Any) -> Tensor:
    """Fill with integers: ``random_()``, ``random_(to)`` or ``random_(from, to)``.

    Without bounds: from 0 to the largest of an integral dtype, or to the last integer up to which
    a floating dtype holds all.
    """
    low, high = named.pop("from", None), named.pop("to", None)
    if named or len(bounds) > 2:
        raise TypeError("random_() expects (), (to) or (from, to), and generator")
    if len(bounds) == 1:
        low, high = (low, bounds[0]) if high is None else (bounds[0], high)
    elif bounds:
        low, high = bounds
    if low is None and high is None:
        return _fill_with_integers(self, generator=generator)  # type: ignore[no-any-return]
    if high is not None:
        low = 0 if low is None else bound("random_", "from", low)
        high = bound("random_", "to", high)
    return _fill_with_integers(self, low, high, generator=generator)  # type: ignore[no-any-return]


setattr(Tensor, "random_", random_)  # noqa: B010  the class cannot know it
