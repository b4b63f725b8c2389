"""The sparse tensor: a pattern and the values at its places.

It is a subclass of ``Tensor`` that sees every op called on it and looks the op up in ``TABLE``;
what is not there is refused.  Two functions connect it to autograd: values go into a sparse tensor
and come out of one, and all else is arithmetic on dense values, on whatever device they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from flambeau.autograd.function import Function
from flambeau.autograd.grad_mode import MODE
from flambeau.device import device as Device
from flambeau.dtypes import can_cast
from flambeau.errors import LayoutError
from flambeau.fields import TensorFields
from flambeau.layout import Size
from flambeau.sparse.pattern import Compressed, Coordinates, Pattern
from flambeau.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

TABLE: Final[dict[str, Callable[..., Any]]] = {}
"""What sparse tensors do, by the name of the op."""


def implements(*names: str, in_place: bool = False) -> Callable[[F], F]:
    """Decorator: the function is what these ops do when a sparse tensor is among the arguments.

    Args:
        in_place: sparse tensors get methods that write the result to themselves.
    """

    def note(function: F) -> F:
        for name in names:
            TABLE[name] = function
            if in_place:
                setattr(SparseTensor, f"{name}_", _in_place(function))
        return function

    return note


class SparseTensor(Tensor):
    """A tensor most of whose elements are 0 and not stored."""

    _pattern: Pattern
    _held: Tensor
    """The values without history."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an op on sparse tensors.

        Raises:
            NotImplementedError: naming the op and the layout, for an op they do not have.
        """
        name = func.op.name
        function = TABLE.get(name)
        if function is None:
            raise refusal(name, args, kwargs or {})
        return function(*args, **(kwargs or {}))

    # ---- facts -----------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """Sizes of the dimensions."""
        return self._pattern.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._pattern.shape)

    def numel(self) -> int:
        """Number of elements, those that are not stored included."""
        return self._pattern.shape.numel()

    @property
    def layout(self) -> Any:
        """How the elements are stored."""
        return self._pattern.layout

    @property
    def is_sparse(self) -> bool:
        """Whether places are stored as coordinates."""
        return isinstance(self._pattern, Coordinates)

    @property
    def is_sparse_csr(self) -> bool:
        """Whether rows are compressed."""
        from flambeau.ops.facts import sparse_csr

        return self._pattern.layout is sparse_csr

    @property
    def nbytes(self) -> int:
        """Not defined.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(
            "nbytes is not defined for sparse tensors. Add the nbytes of the indices and values.")

    def stride(self, dim: int | None = None) -> Any:
        """Zeros: sparse tensors have no strides."""
        return (0,) * self.ndim if dim is None else 0

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """False: sparse tensors have no strides."""
        return False

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The type's name, or the tensor converted to a type."""
        if dtype is not None:
            return self.to(dtype)
        dense: str = self._held.type()
        return dense.replace("flambeau.", "flambeau.sparse.", 1)

    def __hash__(self) -> int:
        return object.__hash__(self)

    # ---- memory ----------------------------------------------------------------------------
    def _no_memory(self, *args: Any, **kwargs: Any) -> Any:
        raise LayoutError(
            f"Cannot access the storage of a tensor of layout {self._pattern.layout}: it has "
            "none. Convert it with .to_dense().")

    storage = storage_ = untyped_storage = layout_ = native = data_ptr = _derive = _no_memory

    def contiguous(self, memory_format: Any = None) -> Tensor:
        """Not defined.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("unsupported memory format option Contiguous for a sparse tensor")

    def numpy(self, *, force: bool = False) -> Any:
        """Not defined.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"can't convert {self._pattern.layout} layout tensor to numpy. "
            "Use Tensor.to_dense() first.")

    def item(self) -> Any:
        """The value of a tensor of one element."""
        if self.numel() != 1:
            raise RuntimeError(
                f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return self._pattern.scatter(self._held).item()

    def detach(self) -> Tensor:
        """The same memory without history."""
        return make(self._pattern, self._held)

    @property
    def data(self) -> Tensor:
        """The same memory without history."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        take_over(self, value)

    def __copy__(self) -> Tensor:
        copied = make(self._pattern, self._held)
        copied._requires_grad = self._requires_grad
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) in memo:
            known: Tensor = memo[id(self)]
            return known
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment; use detach().")
        copied = make(self._pattern.copy(), self._held.clone())
        copied._requires_grad = self._requires_grad
        if self._grad is not None:
            copied._grad = self._grad.__deepcopy__(memo)
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not self.is_leaf and self.requires_grad:
            raise RuntimeError(
                "Cannot pickle a tensor that requires grad and is not a leaf; use detach() first.")
        pattern = self._pattern
        more: Any = (
            (pattern.is_coalesced,) if isinstance(pattern, Coordinates)
            else (pattern.layout, pattern.blocksize))
        return rebuild, (
            pattern.parts(), self._held, tuple(pattern.shape), more, self._requires_grad)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        from flambeau.sparse.printing import text

        return text(self)

    # ---- writing ---------------------------------------------------------------------------
    def zero_(self) -> Any:
        """Forget all values, in place."""
        from flambeau.sparse.construct import zeros_of

        return self._become(zeros_of(self._pattern, self._kind))

    def copy_(self, src: Tensor, non_blocking: bool = False) -> Any:
        """Take the pattern and the values of another sparse tensor, in place."""
        if not isinstance(src, SparseTensor):
            raise RuntimeError(
                "copy_() between dense and sparse Tensors is not implemented! Found self type = "
                f"{self.type()} and src type = {src.type()}")
        return self._become(src.to(device=self.device, dtype=self.dtype, copy=True))

    def _become(self, result: Tensor) -> Tensor:
        """Take over the pattern, the values and the history of a result of the same shape."""
        if MODE.enabled and self.is_leaf and self._requires_grad:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation.")
        if not isinstance(result, SparseTensor) or result.shape != self.shape:
            raise RuntimeError(
                f"the result of layout {result.layout} and shape {list(result.shape)} of an "
                f"in-place operation does not fit a tensor of layout {self.layout} and shape "
                f"{list(self.shape)}")
        if result.dtype is not self.dtype:
            if not can_cast(result.dtype, self.dtype):
                raise RuntimeError(
                    f"result type {result.dtype} can't be cast to the desired output type "
                    f"{self.dtype}")
            result = result.to(self.dtype)
        take_over(self, result)
        self._requires_grad, self._fn = result._requires_grad, result._fn
        return self


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    def write(self: SparseTensor, *args: Any, **named: Any) -> Tensor:
        return self._become(function(self, *args, **named))

    return write


def make(pattern: Pattern, values: Tensor) -> SparseTensor:
    """A sparse tensor without history over dense values without history."""
    t = TensorFields.__new__(SparseTensor)
    t._native, t._kind = None, values._kind
    t._storage = t._layout = t._base = t._fn = t._grad = t._extra = None
    t._requires_grad, t._seen = False, 0
    t._pattern, t._held = pattern, values
    return t


def take_over(t: SparseTensor, other: Any) -> None:
    """Make a sparse tensor consist of what another consists of."""
    t._pattern, t._held, t._kind = other._pattern, other._held, other._kind


def rebuild(
    parts: tuple[Tensor, ...], values: Tensor, shape: tuple[int, ...], more: Any,
    requires_grad: bool,
) -> SparseTensor:
    """A sparse tensor again from what pickling took apart."""
    pattern: Pattern = (
        Coordinates(parts[0], shape, *more) if len(parts) == 1
        else Compressed(more[0], parts[0], parts[1], shape, more[1]))
    made = make(pattern, values)
    made._requires_grad = requires_grad
    return made


def refusal(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NotImplementedError:
    """The error for an op that has no meaning here for sparse tensors."""
    given = [*args, *kwargs.values()]
    given += [x for a in given if isinstance(a, (list, tuple)) for x in a]
    layouts = [str(a.layout) for a in given if isinstance(a, SparseTensor)]
    where = next((a.device for a in given if isinstance(a, SparseTensor)), Device("cpu"))
    return LayoutError(
        f"Could not run '{name}' with arguments of layout {', '.join(dict.fromkeys(layouts))} on "
        f"{where}: the op is not implemented for this layout. Convert them with .to_dense().")


# ---- autograd ----------------------------------------------------------------------------------
class SparseTensorFromValues(Function):
    """Values into a sparse tensor."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, pattern: Pattern) -> Tensor:
        """The sparse tensor."""
        ctx.pattern = pattern
        ctx.set_materialize_grads(False)
        return make(pattern, values.detach())

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """The gradient at the places of the pattern."""
        return take(ctx.pattern, g), None


class Values(Function):
    """Values out of a sparse tensor."""

    @staticmethod
    def forward(ctx: Any, t: Any) -> Tensor:
        """The dense values."""
        ctx.pattern = t._pattern
        ctx.set_materialize_grads(False)
        held: Tensor = t._held
        return held.detach()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """A gradient of the same pattern; where a place is named twice, both see its gradient."""
        pattern = ctx.pattern
        if isinstance(pattern, Coordinates):
            pattern, g = pattern.mean_of_duplicates(g)
        return from_values(pattern, g)


def values_of(t: Any) -> Tensor:
    """The dense values of a sparse tensor, connected to it for autograd."""
    if MODE.enabled and t.requires_grad:
        result: Tensor = Values.apply(t)
        return result
    held: Tensor = t._held
    return held


def from_values(pattern: Pattern, values: Tensor) -> Any:
    """A sparse tensor of dense values, connected to them for autograd."""
    if MODE.enabled and values.requires_grad:
        return SparseTensorFromValues.apply(values, pattern)
    return make(pattern, values)


def take(pattern: Pattern, g: Tensor) -> Tensor:
    """The elements of a tensor, sparse or dense, at the places of a pattern."""
    if not isinstance(g, SparseTensor):
        return pattern.take(g)
    if g._pattern is pattern and pattern.is_coalesced:
        return values_of(g)
    if isinstance(pattern, Coordinates) and isinstance(g._pattern, Coordinates) and (
        pattern.sparse_dim == g._pattern.sparse_dim
    ):
        return pattern.take_from(*g._pattern.coalesce(values_of(g)))
    return pattern.take(to_dense(g))


def to_dense(t: Any) -> Tensor:
    """The strided tensor of the same elements."""
    if not isinstance(t, SparseTensor):
        return t  # type: ignore[no-any-return]
    return t._pattern.scatter(values_of(t))
