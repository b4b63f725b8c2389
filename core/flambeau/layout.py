"""Shape, strides and offset: every view is arithmetic on them.

Units are elements, never bytes.  Layouts are immutable and interned as long as the table has
room, so ``is`` is a fast test and ``==`` the true one.  Layouts that differ in nothing but the
offset share their facts and what is remembered of their views: ``x[i]`` for another ``i`` costs
one addition and one look into the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from flambeau import package_name

INTERNED: Final = 1 << 13
REMEMBERED_VIEWS: Final = 256
_item: Final = tuple.__getitem__  # of a Size, without its Python method


class Recent(dict[Any, Any]):
    """A table of bounded size in which a missing key gives None.

    When it holds ``room`` entries they become the older generation, in the place of the last
    one, and an entry of that generation is taken over when it is asked for: what is in use
    stays, what is not is gone after two rounds.  ``get`` sees only the younger generation.
    """

    __slots__ = ("older", "room")

    def __init__(self, room: int) -> None:
        self.room: int = room
        self.older: dict[Any, Any] = {}

    def __missing__(self, key: Any) -> Any:
        found = self.older.get(key)
        if found is not None:
            self.remember(key, found)
        return found

    def remember(self, key: Any, value: Any) -> None:
        """Add an entry, ageing the others if the table is full."""
        if len(self) >= self.room:
            self.older = dict(self)
            self.clear()
        self[key] = value


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple with ``numel()``."""

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements of a tensor of this shape."""
        return product(self)

    def __repr__(self) -> str:
        return f"{package_name.shown}.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, index: Any) -> Any:
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, tuple(other)))

    def __radd__(self, other: Any) -> Size:
        return Size(tuple(other) + tuple(self))

    def __mul__(self, count: Any) -> Size:
        return Size(tuple.__mul__(self, count))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Size, (tuple(self),))


def product(numbers: Iterable[int]) -> int:
    """The product of some sizes; 1 for none."""
    result = 1
    for n in numbers:
        result *= n
    return result


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides; a dimension of size 0 counts as 1, as in PyTorch."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


class Layout:
    """Where the elements of a tensor lie in its storage."""

    __slots__ = ("is_contiguous", "memo", "ndim", "numel", "offset", "shape", "strides")
    shape: Size
    strides: tuple[int, ...]
    offset: int
    ndim: int
    numel: int
    is_contiguous: bool
    memo: Recent  # views already computed, of the layout at offset 0; shared by all offsets

    def __init__(self, shape: Sequence[int], strides: Sequence[int]) -> None:
        """The layout at offset 0; :meth:`of` and :meth:`at` give the others."""
        self.shape, self.strides, self.offset = Size(shape), tuple(strides), 0
        self.ndim = len(self.shape)
        self.numel = product(self.shape)
        self.is_contiguous = self.numel == 0 or _is_dense_in_order(
            self.shape, self.strides, range(self.ndim - 1, -1, -1)
        )
        self.memo = Recent(REMEMBERED_VIEWS)

    @staticmethod
    def of(shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Layout:
        """The layout with these numbers."""
        key = (tuple(shape), tuple(strides), offset)
        found: Layout | None = _interned[key]
        if found is None:
            if offset:
                return Layout.of(key[0], key[1]).at(offset)
            found = Layout(shape, strides)
            _interned.remember(key, found)
        return found

    @staticmethod
    def contiguous(shape: Sequence[int]) -> Layout:
        """The row-major layout of a new tensor."""
        key = tuple(shape)
        found: Layout | None = _contiguous[key]
        if found is None:
            found = Layout.of(key, contiguous_strides(key))
            _contiguous.remember(key, found)
        return found

    def at(self, offset: int) -> Layout:
        """The same shape and strides at another offset."""
        key = (self.shape, self.strides, offset)
        found: Layout | None = _interned[key]
        if found is None:
            found = Layout.__new__(Layout)
            found.shape, found.strides, found.offset = key
            found.ndim, found.numel = self.ndim, self.numel
            found.is_contiguous, found.memo = self.is_contiguous, self.memo
            _interned.remember(key, found)
        return found

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Layout)
            and self.shape == other.shape
            and self.strides == other.strides
            and self.offset == other.offset
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.strides, self.offset))

    def __repr__(self) -> str:
        return f"Layout(shape={tuple(self.shape)}, strides={self.strides}, offset={self.offset})"

    # ---- facts -----------------------------------------------------------------------------
    def order(self) -> list[int]:
        """Dimensions from the innermost to the outermost in memory."""
        return sorted(
            range(self.ndim), key=lambda d: (self.strides[d], self.shape[d], -d)
        )

    def is_dense(self) -> bool:
        """Whether the elements fill a block of memory without gaps or overlap."""
        return self.numel == 0 or _is_dense_in_order(self.shape, self.strides, self.order())

    def overlaps_itself(self) -> bool:
        """Whether two indices may name one element (an expanded dimension, for example)."""
        if self.numel <= 1 or self.is_contiguous:
            return False
        overlaps: bool | None = self.memo[_OVERLAPS]
        if overlaps is None:
            overlaps = _overlaps(self.shape, self.strides, self.order())
            self.memo.remember(_OVERLAPS, overlaps)
        return overlaps

    def span(self) -> int:
        """Number of elements from the storage's start to the last one in use."""
        if self.numel == 0:
            return self.offset
        if self.is_contiguous:
            return self.offset + self.numel
        last = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        return self.offset + last + 1

    def is_channels_last(self) -> bool:
        """Whether memory order is N, spatial, C for a 4-d or 5-d tensor."""
        if self.ndim not in (4, 5):
            return False
        return _is_dense_in_order(self.shape, self.strides, channels_last_order(self.ndim))

    # ---- views -----------------------------------------------------------------------------
    def permute(self, dims: Sequence[int]) -> Layout:
        """Reorder the dimensions."""
        return Layout.of(
            [self.shape[d] for d in dims], [self.strides[d] for d in dims], self.offset
        )

    def expand(self, shape: Sequence[int]) -> Layout:
        """Repeat dimensions of size 1 with stride 0; -1 keeps a size.

        Raises:
            RuntimeError: if a size that is not 1 would change.
        """
        added = len(shape) - self.ndim
        if added < 0:
            raise RuntimeError(
                f"expand({list(self.shape)}, size={list(shape)}): the number of sizes provided "
                f"({len(shape)}) must be greater or equal to the number of dimensions in the "
                f"tensor ({self.ndim})"
            )
        sizes, strides = [], []
        for i, want in enumerate(shape):
            d = i - added
            if d < 0:
                if want < 0:
                    raise RuntimeError(
                        f"The expanded size of the tensor ({want}) isn't allowed in a leading, "
                        f"non-existing dimension {i}"
                    )
                sizes.append(want)
                strides.append(0)
                continue
            have = self.shape[d]
            if want == -1:
                want = have
            if want != have and have != 1:
                raise RuntimeError(
                    f"The expanded size of the tensor ({want}) must match the existing size "
                    f"({have}) at non-singleton dimension {i}.  Target sizes: {list(shape)}.  "
                    f"Tensor sizes: {list(self.shape)}"
                )
            sizes.append(want)
            strides.append(self.strides[d] if want == have else 0)
        return Layout.of(sizes, strides, self.offset)

    def select(self, dim: int, index: int) -> Layout:
        """Fix one dimension at an index and drop it."""
        size: int = _item(self.shape, dim)
        if not -size <= index < size:
            raise IndexError(
                f"index {index} is out of bounds for dimension {dim} with size {size}"
            )
        key = ("select", dim)
        first: Layout | None = self.memo[key]
        if first is None:
            first = Layout.of(_without(self.shape, dim), _without(self.strides, dim))
            self.memo.remember(key, first)
        return first.at(self.offset + index % size * self.strides[dim])

    def slice(self, dim: int, start: int | None, stop: int | None, step: int = 1) -> Layout:
        """Take ``start:stop:step`` of one dimension; the step must be positive."""
        if step <= 0:
            raise ValueError("step must be greater than zero")
        size: int = _item(self.shape, dim)
        start, stop, _ = slice(start, stop, 1).indices(size)
        count = max(0, (stop - start + step - 1) // step)
        key = ("slice", dim, count, step)
        first: Layout | None = self.memo[key]
        if first is None:
            first = Layout.of(
                (*self.shape[:dim], count, *self.shape[dim + 1 :]),
                (*self.strides[:dim], self.strides[dim] * step, *self.strides[dim + 1 :]),
            )
            self.memo.remember(key, first)
        # An empty slice past the end keeps PyTorch's offset: start is clamped to the size.
        return first.at(self.offset + start * self.strides[dim])

    def unsqueeze(self, dim: int) -> Layout:
        """Insert a dimension of size 1 (``0 <= dim <= ndim``)."""
        stride = self.shape[dim] * self.strides[dim] if dim < self.ndim else 1
        return Layout.of(
            (*self.shape[:dim], 1, *self.shape[dim:]),
            (*self.strides[:dim], stride, *self.strides[dim:]),
            self.offset,
        )

    def squeeze(self, dims: Iterable[int]) -> Layout:
        """Drop those of the dimensions that have size 1."""
        drop = {d for d in dims if self.shape[d] == 1}
        keep = [d for d in range(self.ndim) if d not in drop]
        return self.permute(keep)

    def unfold(self, dim: int, size: int, step: int) -> Layout:
        """Windows of ``size`` at every ``step`` of a dimension, as a new last dimension."""
        have = self.shape[dim] if self.ndim else 1
        if step <= 0:
            raise RuntimeError(f"step is {step} but must be > 0")
        if not 0 <= size <= have:
            raise RuntimeError(
                f"maximum size for tensor at dimension {dim} is {have} but size is {size}"
            )
        if not self.ndim:
            return Layout.of((size,), (1,), self.offset)
        count = (have - size) // step + 1
        stride = self.strides[dim]
        return Layout.of(
            (*self.shape[:dim], count, *self.shape[dim + 1 :], size),
            (*self.strides[:dim], stride * step, *self.strides[dim + 1 :], stride),
            self.offset,
        )

    def diagonal(self, offset: int, dim1: int, dim2: int) -> Layout:
        """The diagonal of two dimensions, as a new last dimension."""
        rows, cols = self.shape[dim1], self.shape[dim2]
        count = max(0, min(rows + min(offset, 0), cols - max(offset, 0)))
        start = 0
        if count:
            start = self.strides[dim2] * offset if offset >= 0 else -self.strides[dim1] * offset
        rest = [d for d in range(self.ndim) if d not in (dim1, dim2)]
        return Layout.of(
            (*(self.shape[d] for d in rest), count),
            (*(self.strides[d] for d in rest), self.strides[dim1] + self.strides[dim2]),
            self.offset + start,
        )

    def view(self, shape: Sequence[int]) -> Layout | None:
        """Another shape over the same elements in the same order, or None if no strides do it.

        Args:
            shape: sizes without -1, of as many elements.
        """
        if self.numel == 0 or self.is_contiguous:
            return Layout.of(shape, contiguous_strides(shape), self.offset)
        strides = _view_strides(self.shape, self.strides, shape)
        return None if strides is None else Layout.of(shape, strides, self.offset)


def infer_shape(shape: Sequence[int], numel: int) -> tuple[int, ...]:
    """Replace one -1 in a shape so that it has ``numel`` elements.

    Raises:
        RuntimeError: if no size fits, or more than one is -1.
    """
    unknown = [i for i, n in enumerate(shape) if n == -1]
    known = product(n for n in shape if n != -1)
    if any(n < -1 for n in shape):
        bad = next(n for n in shape if n < -1)
        raise RuntimeError(f"invalid shape dimension {bad}")
    if len(unknown) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if unknown:
        if known == 0:
            if numel == 0:
                raise RuntimeError(
                    f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
                    "unspecified dimension size -1 can be any value and is ambiguous"
                )
        elif numel % known == 0:
            at = unknown[0]
            return (*shape[:at], numel // known, *shape[at + 1 :])
    elif known == numel:
        return tuple(shape)
    raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")


def broadcast_shapes(*shapes: Sequence[int]) -> Size:
    """The common shape of several by NumPy's rules.

    Raises:
        RuntimeError: naming the sizes and the dimension that do not fit.
    """
    ndim = max(map(len, shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for i in range(-1, -len(shape) - 1, -1):
            have, n = result[i], shape[i]
            if n == have or n == 1:
                continue
            if have != 1:
                raise RuntimeError(
                    f"The size of tensor a ({have}) must match the size of tensor b ({n}) at "
                    f"non-singleton dimension {ndim + i}"
                )
            result[i] = n
    return Size(result)


def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension counted from the front.

    Raises:
        IndexError: if there is no such dimension (a 0-d tensor accepts 0 and -1).
    """
    bound = max(ndim, 1)
    if not -bound <= dim < bound:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], "
            f"but got {dim})"
        )
    return dim % bound


def wrap_dims(dims: Iterable[int], ndim: int) -> tuple[int, ...]:
    """Several dimensions counted from the front, each at most once."""
    wrapped = tuple(wrap_dim(d, ndim) for d in dims)
    if len(set(wrapped)) != len(wrapped):
        twice = next(d for d in wrapped if wrapped.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return wrapped


def channels_last_order(ndim: int) -> list[int]:
    """Dimensions from innermost to outermost when channels come last."""
    return [1, *range(ndim - 1, 1, -1), 0]


def strides_in_order(shape: Sequence[int], order: Iterable[int]) -> tuple[int, ...]:
    """Dense strides for a memory order given from the innermost dimension."""
    strides, step = [0] * len(shape), 1
    for d in order:
        strides[d] = step
        step *= max(shape[d], 1)
    return tuple(strides)


def _is_dense_in_order(shape: Size, strides: Sequence[int], order: Iterable[int]) -> bool:
    step = 1
    for d in order:
        if shape[d] != 1:
            if strides[d] != step:
                return False
            step *= shape[d]
    return True


def _overlaps(shape: Size, strides: Sequence[int], order: Iterable[int]) -> bool:
    reach = 0
    for d in order:
        if shape[d] == 1:
            continue
        if strides[d] <= reach:
            return True
        reach += (shape[d] - 1) * strides[d]
    return False


def _without(numbers: tuple[int, ...], dim: int) -> tuple[int, ...]:
    return (*numbers[:dim], *numbers[dim + 1 :])


def _view_strides(
    shape: Sequence[int], strides: Sequence[int], new: Sequence[int]
) -> tuple[int, ...] | None:
    """Walk both shapes from the back, matching runs of dimensions that are dense together."""
    result = [0] * len(new)
    at = len(new) - 1
    run, base = 1, strides[-1] if strides else 1
    for d in range(len(shape) - 1, -1, -1):
        run *= shape[d]
        ends = d == 0 or (shape[d - 1] != 1 and strides[d - 1] != run * base)
        if not ends:
            continue
        step = 1
        while at >= 0 and (step < run or new[at] == 1):
            result[at] = step * base
            step *= new[at]
            at -= 1
        if step != run:
            return None
        if d > 0:
            run, base = 1, strides[d - 1]
    return tuple(result) if at == -1 else None


_OVERLAPS: Final = "overlaps_itself"
_interned: Final = Recent(INTERNED)
_contiguous: Final = Recent(INTERNED)
