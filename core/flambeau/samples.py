"""Sample inputs of ops: stated with the op, run by the conformance suite on every backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from flambeau import dtypes
    from flambeau.tensor import Tensor


class Make(Protocol):
    """Makes tensors on the device under test, from a fixed seed."""

    dtype: dtypes.dtype
    """The dtype under test, given to floating inputs."""

    def __call__(
        self,
        *shape: int,
        low: float | None = None,
        high: float | None = None,
        dtype: dtypes.dtype | None = None,
        requires_grad: bool | None = None,
    ) -> Tensor:
        """A tensor of values in [low, high) (default -2 to 2, integers -5 to 5).

        Args:
            requires_grad: by default as the suite needs it; False for inputs that are not
                differentiable although they are floating.
        """
        ...

    def index(self, high: int, *shape: int) -> Tensor:
        """Integers (int64) in [0, high)."""
        ...

    def mask(self, *shape: int) -> Tensor:
        """Booleans."""
        ...

    def distinct(self, *shape: int) -> Tensor:
        """Values no two of which are close, so that order statistics are differentiable."""
        ...


@dataclass(slots=True)
class Sample:
    """Arguments of one call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    """Stable identifier within the op; the position if empty."""


@dataclass(slots=True)
class ErrorSample:
    """A call that must be refused."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    error: type[Exception]
    match: str
    """Regular expression that the message must contain."""


def sample(*args: Any, **kwargs: Any) -> Sample:
    """A sample of a call with these arguments."""
    return Sample(args, kwargs)


def error(kind: type[Exception], match: str, *args: Any, **kwargs: Any) -> ErrorSample:
    """A call with these arguments that must raise ``kind`` with a message matching ``match``."""
    return ErrorSample(args, kwargs, kind, match)


Samples = Callable[[Make], Iterator[Sample]]
Errors = Callable[[Make], Iterator[ErrorSample]]


def unary(low: float | None = None, high: float | None = None) -> Samples:
    """Samples of an elementwise op of one tensor, its values within a domain."""

    def samples(make: Make) -> Iterator[Sample]:
        yield Sample((make(3, 4, low=low, high=high),), name="2d")
        yield Sample((make(low=low, high=high),), name="0d")
        yield Sample((make(0, 3, low=low, high=high),), name="empty")
        yield Sample((make(4, 3, low=low, high=high).transpose(0, 1),), name="transposed")
        yield Sample((make(6, 3, low=low, high=high)[::2],), name="strided")
        yield Sample((make(3, 1, low=low, high=high).expand(3, 4),), name="expanded")

    return samples


def binary(low: float | None = None, high: float | None = None) -> Samples:
    """Samples of an elementwise op of two operands, the second within a domain."""

    def samples(make: Make) -> Iterator[Sample]:
        yield Sample((make(3, 4), make(3, 4, low=low, high=high)), name="same")
        yield Sample((make(3, 1), make(4, low=low, high=high)), name="broadcast")
        yield Sample((make(2, 3), make(low=low, high=high)), name="0d")
        yield Sample((make(0, 3), make(3, low=low, high=high)), name="empty")
        yield Sample((make(4, 3).t(), make(3, 4, low=low, high=high)), name="transposed")
        yield Sample((make(3, 4), 2), name="scalar")

    return samples


def of_tensors(make: Make) -> Iterator[Sample]:
    """Those of two tensors alone, for ops that take no number."""
    return (s for s in binary()(make) if s.name != "scalar")


def reduction(make: Make) -> Iterator[Sample]:
    """Samples of a reduction over ``dim`` with ``keepdim``."""
    yield Sample((make(3, 4),), name="all")
    yield Sample((make(3, 4), 0), name="dim0")
    yield Sample((make(3, 4), -1), {"keepdim": True}, name="keepdim")
    yield Sample((make(2, 3, 4), 1), name="middle")
    yield Sample((make(4, 3).t(), 1), name="transposed")
    yield Sample((make(),), name="0d")


def broadcast_errors(make: Make) -> Iterator[ErrorSample]:
    """What every elementwise op of two tensors refuses."""
    yield error(RuntimeError, "must match the size of tensor b", make(3, 4), make(2, 4))
    yield error(TypeError, "str", make(3), "1")


def unary_errors(make: Make) -> Iterator[ErrorSample]:
    """What every op of one tensor refuses."""
    yield error(TypeError, "must be Tensor", 1.5)
    yield error(TypeError, "must be Tensor", None)


def dim_errors(make: Make) -> Iterator[ErrorSample]:
    """What every op with a ``dim`` refuses."""
    yield error(IndexError, "Dimension out of range", make(3, 4), 2)
    yield error(TypeError, "must be Tensor", [1.0], 0)
