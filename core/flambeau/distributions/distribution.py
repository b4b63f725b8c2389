"""What all distributions have in common: shapes, checks, and what follows from other methods."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.utils import lazy_property
from flambeau.layout import Size
from flambeau.tensor import Tensor

__all__ = ["Distribution"]


class Distribution:
    """The base of all distributions.

    A sample has the shape ``sample_shape + batch_shape + event_shape``: draws, then distributions
    that differ in their parameters, then the dimensions of one value.

    Args:
        batch_shape: of the parameters.
        event_shape: of one value.
        validate_args: whether parameters and values are checked; None for the default
            (:meth:`set_default_validate_args`).

    Raises:
        ValueError: a parameter does not satisfy its constraint.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__
    arg_constraints: Any = None
    _batch_shape: Size
    _event_shape: Size

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Switch the checks on or off for distributions that are made without ``validate_args``.

        Raises:
            ValueError: ``value`` is no bool.
        """
        if value not in (True, False):
            raise ValueError(f"expected True or False, but got {value!r}")
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Iterable[int] = (), event_shape: Iterable[int] = (),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        if self.arg_constraints is None:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`; set `arg_constraints = {{}}` or "
                "`validate_args=False` to turn off validation.", stacklevel=4)
            return
        for name, constraint in self.arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            derived = isinstance(getattr(type(self), name, None), lazy_property)
            if derived and name not in self.__dict__:
                continue  # follows from another parameter, which is checked
            value = getattr(self, name)
            if not _holds(constraint, value):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}")

    # ---- shapes --------------------------------------------------------------------------------
    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one value."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Iterable[int] = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        """The same distribution with parameters expanded to ``batch_shape``, without a copy.

        Args:
            _instance: an object to be filled in, which a subclass made.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no expand")

    def _expanded(
        self, declaring: type, names: Iterable[str], batch_shape: Iterable[int], _instance: Any,
        event_dims: int = 0,
    ) -> Any:
        """An instance whose parameters ``names``, where there are any, are expanded.

        Args:
            declaring: the class whose ``expand`` this is: a subclass with a constructor of its own
                must have its own, too, or give an instance.
            event_dims: how many last dimensions of a parameter are no batch dimensions.
        """
        new = self._get_checked_instance(declaring, _instance)
        shape = Size(batch_shape)
        for name in names:
            held = self.__dict__.get(name)
            if isinstance(held, Tensor):
                event = held.shape[held.ndim - event_dims :]
                setattr(new, name, held.expand((*shape, *event)))
        Distribution.__init__(new, shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        if _instance is None and type(self).__init__ is not cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method.")
        return self.__new__(type(self)) if _instance is None else _instance

    # ---- facts of a distribution ---------------------------------------------------------------
    @property
    def support(self) -> Any:
        """The constraint that values satisfy."""
        raise NotImplementedError(f"{type(self).__name__} defines no support")

    @property
    def mean(self) -> Tensor:
        """The mean, ``batch_shape + event_shape``."""
        raise NotImplementedError(f"{type(self).__name__} defines no mean")

    @property
    def mode(self) -> Tensor:
        """A value of the greatest density or chance, ``batch_shape + event_shape``."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance, ``batch_shape + event_shape``."""
        raise NotImplementedError(f"{type(self).__name__} defines no variance")

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        root: Tensor = self.variance.sqrt()
        return root

    # ---- draws ---------------------------------------------------------------------------------
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Values of the shape ``sample_shape + batch_shape + event_shape``, without gradients."""
        with fb.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Values through which gradients flow to the parameters.

        Raises:
            NotImplementedError: the distribution has none: use the gradient of ``log_prob``.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rsample")

    def sample_n(self, n: int) -> Tensor:
        """``sample((n,))``, under the name it had before."""
        warnings.warn(
            "sample_n(n) will be deprecated. Use .sample((n,)) instead.", FutureWarning,
            stacklevel=2)
        return self.sample(Size((n,)))

    # ---- functions of values -------------------------------------------------------------------
    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the chance, at values."""
        raise NotImplementedError(f"{type(self).__name__} defines no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The chance of what is not above a value."""
        raise NotImplementedError(f"{type(self).__name__} defines no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The value at which ``cdf`` has a given value."""
        raise NotImplementedError(f"{type(self).__name__} defines no icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along a new first dimension.

        Args:
            expand: whether the batch dimensions have their sizes, or all the size 1.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot enumerate its support")

    def _enumerated(self, values: Tensor, expand: bool) -> Tensor:
        """Values ``(n, *event_shape)`` with the batch dimensions after the first one."""
        batch = self._batch_shape if expand else (1,) * len(self._batch_shape)
        n, *event = values.shape
        values = values.reshape((n, *(1 for _ in batch), *event))
        return values.expand((n, *batch, *event))

    def entropy(self) -> Tensor:
        """The entropy in nats, ``batch_shape``."""
        raise NotImplementedError(f"{type(self).__name__} defines no entropy")

    def perplexity(self) -> Tensor:
        """The exponential of the entropy."""
        perplexity: Tensor = fb.exp(self.entropy())
        return perplexity

    def _validate_sample(self, value: Tensor) -> None:
        """Check that a value broadcasts to the distribution's shape and is in its support.

        Raises:
            ValueError: if not, or if it is no tensor.
        """
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        event_dims = len(self._event_shape)
        start = value.ndim - event_dims
        if start < 0 or tuple(value.shape[start:]) != tuple(self._event_shape):
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{tuple(value.shape)} vs {tuple(self._event_shape)}.")
        expected = self._extended_shape()
        for i, j in zip(reversed(value.shape), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{tuple(value.shape)} vs {tuple(expected)}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3)
            return
        if not _holds(support, value):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{value}")

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints or {}:
            held = self.__dict__.get(name)
            if held is not None:
                shown.append(f"{name}: {held if held.numel() == 1 else held.size()}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _holds(constraint: Any, value: Any) -> bool:
    """Whether all events satisfy a constraint; nobody can tell of those on the meta device."""
    if isinstance(value, Tensor) and value.device.type == "meta":
        return True
    return bool(constraint.check(value).all().item())
