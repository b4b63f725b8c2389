"""What a constraint is; constraints that only an object's parameters decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.tensor import Tensor


class Constraint:
    """A region over which a variable is valid.

    Attributes:
        is_discrete: whether the region is a set of separate points.
        event_dim: how many of the last dimensions make one event.
    """

    is_discrete: Any = False
    event_dim: Any = 0

    _shown: tuple[str, ...] = ()  # attributes that the printed form names

    def check(self, value: Tensor) -> Tensor:
        """Whether each event lies in the region: booleans, without the event's dimensions."""
        raise NotImplementedError

    def __repr__(self) -> str:
        bounds = ", ".join(f"{name}={getattr(self, name)}" for name in self._shown)
        return f"{type(self).__name__[1:]}({bounds})"


def all_of_last(checked: Tensor, count: int) -> Tensor:
    """Whether all of the last ``count`` dimensions hold."""
    whole: Tensor = checked.reshape((*checked.shape[: checked.ndim - count], -1)).all(-1)
    return whole


class _Dependent(Constraint):
    """Stands for a region that depends on other variables: on a distribution's parameters.

    Args:
        is_discrete, event_dim: where they are the same whatever the parameters are.

    Raises:
        NotImplementedError: when one that was not given is read.
    """

    def __init__(
        self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ) -> None:
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    @property
    def is_discrete(self) -> Any:
        return _known(self._is_discrete, "is_discrete")

    @property
    def event_dim(self) -> Any:
        return _known(self._event_dim, "event_dim")

    def __call__(
        self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ) -> Any:
        """The same with attributes filled in: ``dependent(is_discrete=True, event_dim=1)``."""
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim)

    def check(self, value: Any) -> Any:
        raise ValueError("Cannot determine validity of dependent constraint")


def _known(value: Any, name: str) -> Any:
    if value is NotImplemented:
        raise NotImplementedError(f".{name} cannot be determined statically")
    return value


def is_dependent(constraint: object) -> bool:
    """Whether a constraint depends on other variables."""
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property of objects, and of their class a dependent constraint.

    ``@constraints.dependent_property(is_discrete=False, event_dim=0)`` above ``def support(self)``.
    """

    def __init__(
        self, fn: Callable[..., Any] | None = None, *, is_discrete: Any = NotImplemented,
        event_dim: Any = NotImplemented,
    ) -> None:
        property.__init__(self, fn)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn: Callable[..., Any]) -> _DependentProperty:  # type: ignore[override]
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)
