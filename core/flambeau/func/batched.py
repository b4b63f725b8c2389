"""Tensors that stand for one sample of a batch.

A :class:`BatchedTensor` holds a tensor whose dimension 0 is the batch of one ``vmap``, and looks
like a tensor without that dimension.  The tensor it holds may be batched by an outer ``vmap``.
It has no memory of its own that a kernel could be given: ops on it are seen by the level of its
``vmap`` (:mod:`flambeau.func.batching`), and what tries to look at its elements is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from flambeau import modes
from flambeau.fields import TensorFields
from flambeau.layout import Layout
from flambeau.overrides import disabled
from flambeau.storage import Storage
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.func.batching import Level


class Unbatchable(RuntimeError):
    """An op that cannot be computed for all samples of a batch at once."""


class Unwritable(Unbatchable):
    """What differs from sample to sample was to be written to what does not."""

    def __init__(self, target: Tensor, words: str) -> None:
        super().__init__(words)
        self.target = target


class BatchedTensor(Tensor):
    """One sample of a batch, within ``vmap``."""

    __slots__ = ("_level", "_value")
    __torch_function__: Any = classmethod(disabled)
    _level: Level
    _value: Tensor
    """All samples; dimension 0 counts them."""
    is_sample: Final = True

    # ---- memory ----------------------------------------------------------------------------
    def native(self) -> Any:
        """Refused: the elements differ from sample to sample."""
        raise _no_memory()

    def storage_(self) -> Storage:
        """Refused: a place in the storage is that of one sample only."""
        raise _no_memory()

    @property
    def _version(self) -> int:
        return self._value._version

    @property  # type: ignore[misc]
    def data(self) -> Tensor:
        """The same memory without history."""
        return wrap(self._level, self._value.data)

    def detach(self) -> Tensor:
        """The same memory without history."""
        return wrap(self._level, self._value.detach())

    # ---- autograd --------------------------------------------------------------------------
    @property  # type: ignore[misc]
    def requires_grad(self) -> bool:
        """Whether gradients are computed for the batch."""
        return self._value.requires_grad

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation produced the batch."""
        return self._value.is_leaf

    @property
    def grad_fn(self) -> Any:
        """The node that produced the batch."""
        return self._value.grad_fn

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Refused: gradients within ``vmap`` are those of ``func.grad`` and its kin."""
        if requires_grad == self.requires_grad:
            return self
        raise Unbatchable(_words("calls Tensor.requires_grad_()", "func.grad or func.vjp"))

    def backward(self, *args: Any, **kwargs: Any) -> None:
        """Refused: gradients within ``vmap`` are those of ``func.grad`` and its kin."""
        raise RuntimeError(_words("calls Tensor.backward()", "func.grad or func.vjp"))

    # ---- new tensors -----------------------------------------------------------------------
    def new_empty(self, *size: Any, **options: Any) -> Tensor:
        """An uninitialised tensor for every sample."""
        return self._for_all(super().new_empty(*size, **options))

    def new_zeros(self, *size: Any, **options: Any) -> Tensor:
        """A tensor of zeros for every sample."""
        return self._for_all(super().new_zeros(*size, **options))

    def new_ones(self, *size: Any, **options: Any) -> Tensor:
        """A tensor of ones for every sample."""
        return self._for_all(super().new_ones(*size, **options))

    def new_full(self, size: Any, fill_value: Any, **options: Any) -> Tensor:
        """A tensor filled with a number for every sample."""
        return self._for_all(super().new_full(size, fill_value, **options))

    def _for_all(self, made: Tensor) -> Tensor:
        """A tensor of which every sample has a copy of its own, so that it can be written to."""
        level = self._level
        lower = self._value  # of an outer vmap, too, if this tensor is
        if isinstance(lower, BatchedTensor):
            made = lower._for_all(made)
        return wrap(level, made.expand((level.size, *made.shape)).clone())

    # ---- Python ----------------------------------------------------------------------------
    def item(self) -> Any:
        """Refused: there is a value for every sample."""
        raise Unbatchable(_words("calls .item() on a Tensor"))

    def tolist(self) -> Any:
        """Refused: there is a value for every sample."""
        raise Unbatchable(_words("calls .tolist() on a Tensor"))

    def numpy(self, *, force: bool = False) -> Any:
        """Refused: there is an array for every sample."""
        raise Unbatchable(_words("calls .numpy() on a Tensor"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise Unbatchable(_words("makes a NumPy array of a Tensor"))

    def __bool__(self) -> bool:
        raise Unbatchable(_words(
            "uses a Tensor in data-dependent control flow", "where() and masks"))

    def __index__(self) -> int:
        raise Unbatchable(_words("uses a Tensor as a Python number"))

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"BatchedTensor(size={self._level.size}, value=\n    {self._value!r}\n)"


def _words(what: str, instead: str = "operators on tensors") -> str:
    return (f"vmap: the mapped function {what}, which cannot be done for all samples of a batch "
            f"at once. Write it with {instead}.")


def _no_memory() -> Unbatchable:
    return Unbatchable(_words("looks at the memory of a tensor") if modes.ACTIVE else (
        "vmap: a tensor of one sample was kept beyond the call of vmap that made it. Return it "
        "from the function, or map over the code that uses it, too."))


_new: Final = TensorFields.__new__


def wrap(level: Level, value: Tensor) -> BatchedTensor:
    """A sample of a tensor whose dimension 0 is the batch of a level."""
    held = value.layout_()
    t = _new(BatchedTensor)
    t._value, t._level, t._kind = value, level, value._kind
    t._layout = Layout.of(held.shape[1:], held.strides[1:], held.offset)
    t._native = t._storage = t._base = t._fn = t._grad = t._extra = None
    t._requires_grad, t._seen = False, 0
    return t


def peeled(t: Tensor) -> tuple[Tensor, tuple[Level, ...]]:
    """The tensor at the bottom, and the levels that it is batched by, outermost first."""
    levels: list[Level] = []
    while isinstance(t, BatchedTensor):
        levels.append(t._level)
        t = t._value
    return t, tuple(reversed(levels))


def rewrapped(t: Tensor, levels: Sequence[Level]) -> Tensor:
    """The inverse of ``peeled``."""
    for level in levels:
        t = wrap(level, t)
    return t


def aligned(t: Tensor, levels: Sequence[Level], wanted: Sequence[Level]) -> Tensor:
    """The tensor at the bottom, made to be batched by the wanted ones among some levels.

    Args:
        levels: outermost first; those that the tensor may be batched by.
        wanted: what is not wanted is summed over; what is lacking gets copies of one sample.
    """
    for level in reversed(levels):
        if isinstance(t, BatchedTensor) and t._level is level:
            t = t._value if level in wanted else t._value.sum(0)
        elif level in wanted:
            t = t.expand((level.size, *t.shape))
    return t


def merged(chains: Sequence[tuple[Level, ...]]) -> tuple[Level, ...]:
    """All levels that occur, outermost first."""
    order: list[Level] = []
    for chain in sorted(chains, key=len, reverse=True):
        at = 0
        for level in chain:
            if level in order:
                at = order.index(level) + 1
            else:
                order.insert(at, level)
                at += 1
    return tuple(order)
