"""Nested tensors: tensors of a batch that differ in their sizes.

Of layout ``jagged`` they differ in one dimension and lie one after the other in one dense tensor,
``values``; elementwise ops and matrix products are single calls on it.  Of layout ``strided`` they
are as many dense tensors.  Either is a subclass of ``Tensor`` that sees every op called on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar

import flambeau as fb
from flambeau.autograd.function import Function
from flambeau.autograd.grad_mode import MODE
from flambeau.errors import LayoutError
from flambeau.fields import TensorFields
from flambeau.layout import Size, wrap_dim
from flambeau.ops.facts import jagged, strided
from flambeau.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

TABLE: Final[dict[str, Callable[..., Any]]] = {}
"""What nested tensors do, by the name of the op."""


def implements(*names: str) -> Callable[[F], F]:
    """Decorator: the function is what these ops do when a nested tensor is among the arguments."""

    def note(function: F) -> F:
        TABLE.update(dict.fromkeys(names, function))
        return function

    return note


class NestedInt:
    """A size that differs between the tensors of a batch; equal to itself alone."""

    __slots__ = ("_name", "key")

    def __init__(self, key: Any, name: str) -> None:
        self.key, self._name = key, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NestedInt) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self._name


class Ragged:
    """Where the parts of jagged tensors begin; shared by all that are made from one another.

    Attributes:
        offsets: (batch + 1,), int64.
    """

    _numbers = itertools.count(1)

    def __init__(self, offsets: Tensor) -> None:
        self.offsets = offsets
        self.size = NestedInt(self, f"j{next(self._numbers)}")

    @cached_property
    def lengths(self) -> list[int]:
        """The sizes of the parts."""
        found: list[int] = (self.offsets[1:] - self.offsets[:-1]).tolist()
        return found

    @cached_property
    def rows(self) -> Tensor:
        """For each place of the ragged dimension the number of its part."""
        counts = self.offsets[1:] - self.offsets[:-1]
        numbers = fb.arange(counts.shape[0], device=counts.device)
        result: Tensor = fb.repeat_interleave(numbers, counts)
        return result


class Jagged:
    """The structure of a jagged tensor: what is ragged, and at which dimension of it."""

    layout: Final = jagged

    def __init__(self, ragged: Ragged, dim: int = 1) -> None:
        self.ragged, self.dim = ragged, dim

    def shape(self, held: Sequence[Tensor]) -> Size:
        """The sizes of the nested tensor."""
        sizes: list[Any] = [len(self.ragged.lengths), *held[0].shape]
        sizes[self.dim] = self.ragged.size
        return Size(sizes)

    def parts(self, held: Sequence[Tensor]) -> list[Tensor]:
        """The tensors of the batch."""
        return list(fb.split(held[0], self.ragged.lengths, self.dim - 1))


class Several:
    """The structure of a strided nested tensor: nothing but its parts."""

    layout: Final = strided

    def shape(self, held: Sequence[Tensor]) -> Size:
        """The sizes of the nested tensor."""
        sizes: list[Any] = [len(held)]
        for at, column in enumerate(zip(*(t.shape for t in held), strict=True)):
            same = len(set(column)) == 1
            sizes.append(column[0] if same else NestedInt(column, f"irregular{at + 1}"))
        return Size(sizes)

    def parts(self, held: Sequence[Tensor]) -> list[Tensor]:
        """The tensors of the batch."""
        return list(held)


class NestedTensor(Tensor):
    """A batch of tensors that differ in their sizes."""

    _structure: Any
    _held: tuple[Tensor, ...]
    """The dense tensors it is made of, without history."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an op on nested tensors; elementwise ones on what they are made of.

        Raises:
            NotImplementedError: naming the op and the layout, for an op they do not have.
        """
        op, kwargs = func.op, kwargs or {}
        function = TABLE.get(op.name)
        if function is not None:
            return function(*args, **kwargs)
        if op.template in ("unary", "binary") or op.formula is not None:
            return elementwise(func, *args, **kwargs)
        first = next(a for a in _flat((args, tuple(kwargs.values()))) if is_nested(a))
        raise LayoutError(
            f"Could not run '{op.name}' with nested tensors of layout {first.layout} on "
            f"{first.device}: the op is not implemented for them. Use unbind() or "
            "to_padded_tensor().")

    # ---- facts -----------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """The sizes; those that differ are symbols."""
        found: Size = self._structure.shape(self._held)
        return found

    @property
    def ndim(self) -> int:
        """Number of dimensions, the batch included."""
        return self._held[0].ndim + 1 if self._held else 1

    def numel(self) -> int:
        """Number of elements of all parts."""
        return sum(t.numel() for t in self._held)

    def size(self, dim: int | None = None) -> Any:
        """All sizes, or that of one dimension."""
        if dim is None:
            return self.shape
        at = wrap_dim(dim, self.ndim)
        found: Any = self.shape[at]
        if isinstance(found, NestedInt) and self.layout is strided:
            raise RuntimeError(f"Given dimension {at} is irregular and does not have a size.")
        return found

    @property
    def layout(self) -> Any:
        """``jagged`` or ``strided``."""
        return self._structure.layout

    @property
    def is_nested(self) -> bool:
        """True."""
        return True

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self.itemsize

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the parts lie row-major one after the other."""
        return all(t.is_contiguous() for t in self._held) and (
            self.layout is strided or self._structure.dim == 1)

    def contiguous(self, memory_format: Any = None) -> Any:
        """The tensor with row-major parts."""
        return over(self, lambda t: t.contiguous())

    def __len__(self) -> int:
        return len(parts_without_history(self))

    def __iter__(self) -> Iterator[Tensor]:
        return iter(parts_of(self))

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        grad = f", grad_fn=<{type(self.grad_fn).__name__}>" if self.grad_fn is not None else (
            ", requires_grad=True" if self.requires_grad else "")
        if self.layout is jagged:
            return (
                f"NestedTensor(size={tuple(self.shape)!r}, offsets="
                f"{self._structure.ragged.offsets!r}{grad}, contiguous={self.is_contiguous()})")
        inner = ",\n".join(f"  {t!r}".replace("\n", "\n  ") for t in self._held)
        return f"nested_tensor([\n{inner}\n]{grad})"

    # ---- parts -----------------------------------------------------------------------------
    def values(self) -> Tensor:
        """All elements: of a jagged tensor the packed parts, else one vector."""
        held = held_of(self)
        return held[0] if self.layout is jagged else fb.cat([t.reshape(-1) for t in held])

    def offsets(self) -> Tensor:
        """Where the parts of a jagged tensor begin."""
        found: Tensor = _jagged(self, "offsets").ragged.offsets
        return found

    def lengths(self) -> None:
        """None: there are no holes between the parts."""
        _jagged(self, "lengths")

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:  # type: ignore[override]
        """The tensors of the batch."""
        if wrap_dim(dim, self.ndim) != 0:
            raise RuntimeError("unbind(): only supported for NestedTensor on dim=0")
        return tuple(parts_of(self))

    def to_padded_tensor(self, padding: float, output_size: Any = None) -> Any:
        """One dense tensor, with ``padding`` where a part has no element."""
        from flambeau.nested.construct import to_padded_tensor

        return to_padded_tensor(self, padding, output_size)

    def __getitem__(self, index: Any) -> Any:
        first, *rest = index if isinstance(index, tuple) else (index,)
        if first is Ellipsis or not isinstance(first, int):
            raise LayoutError("nested tensors can be indexed by the number of a part")
        found = parts_of(self)[first]
        return found[tuple(rest)] if rest else found

    def _no_memory(self, *args: Any, **kwargs: Any) -> Any:
        raise LayoutError(
            "a nested tensor has no single memory: use values(), unbind() or to_padded_tensor()")

    storage = storage_ = untyped_storage = layout_ = native = data_ptr = _derive = _no_memory
    numpy = tolist = stride = _no_memory

    def detach(self) -> Tensor:
        """The same memory without history."""
        return make(self._structure, self._held)

    @property
    def data(self) -> Tensor:
        """The same memory without history."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        self._structure, self._held, self._kind = value._structure, value._held, value._kind

    def __copy__(self) -> Tensor:
        return make(self._structure, self._held)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied = make(self._structure, tuple(t.clone() for t in self._held))
        copied._requires_grad = self._requires_grad and self.is_leaf
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        offsets = self._structure.ragged.offsets if self.layout is jagged else None
        dim = self._structure.dim if self.layout is jagged else 0
        return rebuild, (self._held, offsets, dim, self._requires_grad and self.is_leaf)


def rebuild(
    held: tuple[Tensor, ...], offsets: Tensor | None, dim: int, requires_grad: bool
) -> NestedTensor:
    """A nested tensor again from what pickling took apart."""
    made = make(Several() if offsets is None else Jagged(Ragged(offsets), dim), held)
    made._requires_grad = requires_grad
    return made


def _jagged(t: Any, name: str) -> Any:
    if t.layout is not jagged:
        raise AttributeError(f"nested tensors of layout {t.layout} have no {name}")
    return t._structure


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def is_nested(t: Any) -> bool:
    """Whether a value is a nested tensor."""
    return isinstance(t, NestedTensor)


def make(structure: Any, held: Sequence[Tensor]) -> NestedTensor:
    """A nested tensor without history of dense tensors without history."""
    from flambeau.kind import kind_of

    t = TensorFields.__new__(NestedTensor)
    t._native = None
    t._kind = held[0]._kind if held else kind_of("cpu", fb.get_default_dtype())
    t._storage = t._layout = t._base = t._fn = t._grad = t._extra = None
    t._requires_grad, t._seen = False, 0
    t._structure, t._held = structure, tuple(held)
    return t


# ---- autograd ----------------------------------------------------------------------------------
class NestedTensorFromParts(Function):
    """Dense tensors into a nested one."""

    @staticmethod
    def forward(ctx: Any, structure: Any, *held: Tensor) -> Tensor:
        """The nested tensor."""
        ctx.set_materialize_grads(False)
        return make(structure, [t.detach() for t in held])

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """The dense tensors of the gradient."""
        return (None, *held_of(g))


class Parts(Function):
    """Dense tensors out of a nested one."""

    @staticmethod
    def forward(ctx: Any, t: Any) -> Any:
        """What the nested tensor is made of."""
        ctx.structure = t._structure
        return tuple(part.detach() for part in t._held)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """A gradient of the same structure."""
        return from_held(ctx.structure, grads)


def held_of(t: Any) -> tuple[Tensor, ...]:
    """The dense tensors a nested one is made of, connected to it for autograd."""
    if MODE.enabled and t.requires_grad:
        found = Parts.apply(t)
        return found if isinstance(found, tuple) else (found,)
    held: tuple[Tensor, ...] = t._held
    return held


def from_held(structure: Any, held: Sequence[Tensor]) -> Any:
    """A nested tensor of dense ones, connected to them for autograd."""
    if MODE.enabled and any(t.requires_grad for t in held):
        return NestedTensorFromParts.apply(structure, *held)
    return make(structure, held)


def parts_of(t: Any) -> list[Tensor]:
    """The tensors of the batch."""
    found: list[Tensor] = t._structure.parts(held_of(t))
    return found


def parts_without_history(t: Any) -> list[Tensor]:
    """The tensors of the batch, as memory."""
    found: list[Tensor] = t._structure.parts(t._held)
    return found


# ---- ops on what they are made of --------------------------------------------------------------
def over(t: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function that keeps the sizes that differ."""
    return from_held(t._structure, [function(part) for part in held_of(t)])


def elementwise(function: Any, *args: Any, **named: Any) -> Any:
    """Apply an elementwise function to nested tensors of one structure, numbers, and tensors.

    Dense tensors are broadcast: to a jagged tensor if they have size 1, or nothing, where it is
    ragged, or the size of the longest part, as padded tensors have.
    """
    nested = [a for a in (*args, *named.values()) if is_nested(a)]
    first = nested[0]
    for other in nested[1:]:
        if other.shape != first.shape:
            raise RuntimeError(
                f"cannot call a function on nested tensors of different structures: shapes "
                f"{first.shape} and {other.shape}")

    def piece(a: Any, i: int) -> Any:
        if is_nested(a):
            return held_of(a)[i]
        if isinstance(a, Tensor) and a.ndim:
            return _beside(first, a, i)
        return a

    options = {"input" if k == "self" else k: a for k, a in named.items()}
    results = [
        function(*(piece(a, i) for a in args), **{k: piece(a, i) for k, a in options.items()})
        for i in range(len(first._held))]
    return from_held(first._structure, results)


def _beside(t: Any, dense: Tensor, i: int) -> Tensor:
    """A dense tensor as the operand of one of the tensors that a nested one is made of."""
    if t.layout is strided:
        if dense.ndim == t.ndim and dense.shape[0] in (1, len(t._held)):
            return dense[i if dense.shape[0] > 1 else 0]
        return dense
    structure = t._structure
    at = dense.ndim - t.ndim + structure.dim  # the ragged dimension in the dense tensor
    ragged = structure.ragged
    if dense.ndim == t.ndim and structure.dim == 1 and dense.shape[:2] == (
            len(ragged.lengths), max(ragged.lengths)):  # padded: what is beyond a part is left
        within = fb.arange(ragged.rows.shape[0], device=dense.device) - ragged.offsets[ragged.rows]
        packed: Tensor = dense[ragged.rows, within]
        return packed
    if at >= 0 and dense.shape[at] != 1:
        raise RuntimeError(
            f"cannot broadcast a tensor of shape {list(dense.shape)} to a nested one of shape "
            f"{t.shape}: it must have size 1 where that is ragged")
    if dense.ndim < t.ndim:
        return dense
    if dense.shape[0] == 1:
        return dense.squeeze(0)
    rows = fb.index_select(dense, 0, ragged.rows)  # the batch becomes the ragged one
    result: Tensor = rows.squeeze(structure.dim) if structure.dim == 1 else rows.transpose(
        0, structure.dim).squeeze(0)
    return result
