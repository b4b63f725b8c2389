"""Kernels of gather and scatter, and of the composites that are indexing.

An index is read where it lies, whatever is repeated over it: nothing is expanded in memory.
Where several items may add to one element,

- a device without parallelism adds in order,
- a device whose items do best alone gives each item all that goes to some elements, if there are
  enough of these: no atomics, and the same result each time; neighbouring elements are handled as
  vectors,
- others add atomically, with 4 and 8 bytes directly; narrower numbers are added in a temporary
  copy of the table with 4 bytes per element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flambeau import dtypes
from flambeau.backend import KernelTable, Strided, broadcast_shapes
from flambeau.backend.generated.flags import Site
from flambeau.backend.generated.places import Places, along, broadcast, indexed_shape
from flambeau.backend.generated.pointwise import PointwiseKernel
from flambeau.codegen.dialects.base import STORAGE, Register, register_of
from flambeau.codegen.kernels.index import Action, Indexed
from flambeau.codegen.kernels.indexing import (
    Walk,
    collapse,
    in_memory_order,
    index_register,
    marks_of,
)
from flambeau.dtypes import dtype
from flambeau.layout import Layout, product

if TYPE_CHECKING:
    from flambeau.backend.generated.base import GeneratedBackend

PLANS_AT_MOST: Final = 4096
LINES_AT_LEAST: Final = 16
"""Items per unit from which each may have elements of its own."""
WIDE: Final[dict[dtype, dtype]] = {
    dtypes.float16: dtypes.float32, dtypes.bfloat16: dtypes.float32, dtypes.uint8: dtypes.int32,
    dtypes.int8: dtypes.int32, dtypes.int16: dtypes.int32}
"""In what narrow numbers are added atomically; floating ones always, for the sake of accuracy."""
INDICES: Final = (dtypes.int64, dtypes.int32)


class _Plan(NamedTuple):
    handle: Any
    groups: int
    scalars: tuple[int, ...]
    flags: Any
    code: int
    kept: tuple[Any, ...]
    """The layouts whose identities stand in the plan's key."""


class Indexing:
    """Plans and launches of one backend."""

    def __init__(self, backend: GeneratedBackend) -> None:
        self.backend = backend
        self.copy = PointwiseKernel(backend, "copy", "self", ["self"]).out
        self.fill = PointwiseKernel(backend, "fill", "value", []).out
        self.plans: dict[tuple[Any, ...], _Plan] = {}

    def run(
        self, name: str, action: Action, table: Strided, value: Any, indices: Sequence[Strided],
        places: Callable[[], Places], how: Any, wraps: bool = False, skip: int | None = None,
    ) -> None:
        """Read or write elements.

        Args:
            name: of the op, for errors.
            value: a tensor, or a number.
            indices: in the order of the places.
            places: finds them; they follow from ``how`` and the layouts.
        """
        is_tensor = value.__class__ is Strided
        tensors = [table, value, *indices] if is_tensor else [table, *indices]
        index = self.backend.index_of(table.buffer)
        key = (name, action, how, index, is_tensor, skip is None, *[
            part for t in tensors for part in (id(t.layout), t.dtype)])
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plan(
                key, name, action, tensors, is_tensor, places(), wraps, skip is not None, index)
        if not plan.groups:
            return
        extra = () if skip is None else (skip,)
        number = () if is_tensor else _parts(value, table.dtype)
        self.backend.launch(plan.handle, plan.groups, [
            *[t.buffer for t in tensors], plan.flags, *plan.scalars, plan.code, *extra, *number],
            index)
        self.backend.flags.launched(index)

    def plan(
        self, key: tuple[Any, ...], name: str, action: Action, tensors: Sequence[Strided],
        is_tensor: bool, places: Places, wraps: bool, skips: bool, index: int,
    ) -> _Plan:
        """Look at the layouts, and compile."""
        if len(self.plans) >= PLANS_AT_MOST:
            self.plans.clear()
        site = Site(name, places.dims, places.extents)
        numel = product(places.shape)
        if numel and 0 in places.extents:
            raise site.error()
        self.plans[key] = plan = self.made(
            name, action, tensors, is_tensor, places, wraps, skips, index, site
        ) if numel else _Plan(None, 0, (), None, 0, tuple(t.layout for t in tensors))
        return plan

    def made(
        self, name: str, action: Action, tensors: Sequence[Strided], is_tensor: bool,
        places: Places, wraps: bool, skips: bool, index: int, site: Site,
    ) -> _Plan:
        """The plan of a call that has something to do."""
        backend, traits = self.backend, self.backend.traits(index)
        table, value = tensors[0].dtype, tensors[1].dtype if is_tensor else None
        sides = [places.table, *([places.value] if is_tensor else []), *places.indices]
        walk, items, action = self.arranged(places, action, table, is_tensor, index)
        width = 1
        if traits.lanes == 1 and value is table and action != "atomic":
            width, walk, items = _in_vectors(
                walk, items, len(places.indices), table, backend.dialect.widths)
        reach = [
            (s.offset, walk.sizes, steps) for s, steps in zip(sides, walk.strides, strict=True)]
        reach[0] = (reach[0][0], (*walk.sizes, *places.extents), (*reach[0][2], *places.jumps))
        register = index_register(product(walk.sizes), reach)
        count = product(walk.sizes[:items])
        size = traits.group_size
        if width > 1 and action != "read":  # a few items with much to do: spread them
            size = max(1, min(size, count // (2 * traits.units)))
        spec = Indexed(
            name, action, table, value, tuple(t.dtype for t in tensors[2 if is_tensor else 1:]),
            items, tuple(map(marks_of, walk.strides)), register, size, wraps, skips, width)
        handle = backend.program(spec, lambda: spec.source(backend.dialect), index)
        strides = [
            s for steps, marks in zip(walk.strides, spec.steps, strict=True)
            for s, mark in zip(steps, marks, strict=True) if mark == "?"]
        extents = [n for pair in zip(places.extents, places.jumps, strict=True) for n in pair]
        return _Plan(
            handle, -(-count // size),
            (count, *(s.offset for s in sides), *walk.sizes[1 if items else 0:], *strides,
             *extents),
            backend.flags.buffer(index), backend.flags.code(site),
            tuple(t.layout for t in tensors))

    def arranged(
        self, places: Places, action: Action, table: dtype, is_tensor: bool, index: int
    ) -> tuple[Walk, int, Action]:
        """The dimensions in the order of the kernel, how many of them items stand for, and how
        items add."""
        strides = [places.table.strides, *([places.value.strides] if is_tensor else []),
                   *(i.strides for i in places.indices)]
        traits = self.backend.traits(index)
        is_sequential = not self.backend.dialect.has_groups and traits.units == 1
        if action == "read":
            order = [strides[1], strides[0], *strides[2:]]
            walk = in_memory_order(places.shape, order)
            walk = Walk(walk.sizes, (walk.strides[1], walk.strides[0], *walk.strides[2:]))
            return walk, _row_items(walk, len(places.indices), traits.lanes), action
        if is_sequential:
            walk = collapse(places.shape, strides)
            return walk, _row_items(walk, len(places.indices), 1), action
        own, shared = _lines(places.shape, strides)
        has_lines = traits.lanes == 1 and product(own.sizes) >= LINES_AT_LEAST * traits.units
        if has_lines or (action == "add" and not self.has_atomics(table, index)):
            joined = tuple(a + b for a, b in zip(own.strides, shared.strides, strict=True))
            return Walk(own.sizes + shared.sizes, joined), len(own.sizes), action
        walk = collapse(places.shape, strides)
        return walk, len(walk.sizes), "atomic" if action == "add" else action

    def has_atomics(self, table: dtype, index: int) -> bool:
        """Whether elements can be added to atomically."""
        traits = self.backend.traits(index)
        nbytes = table.to_real().itemsize if table.is_complex else table.itemsize
        return (nbytes == 4 and traits.has_atomics) or (nbytes == 8 and traits.has_wide_atomics)

    # ---- whole ops -----------------------------------------------------------------------------
    def write(
        self, name: str, action: Action, out: Strided, x: Strided, value: Any,
        indices: Sequence[Strided], places: Callable[[Layout, Any], Places], how: Any,
        wraps: bool = False, skip: int | None = None,
    ) -> None:
        """Copy a table and write to the copy.

        Args:
            places: finds them from the layouts of the table written to and of the value, None
                for a number.
        """
        index = self.backend.index_of(out.buffer)
        if isinstance(value, Strided) and value.buffer is out.buffer:  # read while written
            value = self.copied(value, index)
        held = value.layout if isinstance(value, Strided) else None
        wide = WIDE.get(x.dtype) if action == "add" else None
        target = out
        if wide is not None and (wide.category == 2 or self.adds_atomically(
                places(out.layout, held), x.dtype, index)):
            target = self.backend.empty(wide, Layout.contiguous(out.shape), index)
        if target is not out or out.buffer is not x.buffer or out.layout is not x.layout:
            self.copy(target, x)
        self.run(name, action, target, value, indices, lambda: places(target.layout, held), how,
                 wraps, skip)
        if target is not out:
            self.copy(out, target)

    def copied(self, x: Strided, index: int) -> Strided:
        """A row-major copy."""
        out = self.backend.empty(x.dtype, Layout.contiguous(x.shape), index)
        self.copy(out, x)
        return out

    def adds_atomically(self, places: Places, table: dtype, index: int) -> bool:
        """Whether items that add to narrow numbers could meet."""
        if not self.has_atomics(WIDE[table], index):
            return False
        return self.arranged(places, "add", WIDE[table], True, index)[2] == "atomic"


def _row_items(walk: Walk, indices: int, lanes: int) -> int:
    """How many dimensions items stand for: all but rows that have one index, where an item does
    best alone."""
    n = len(walk.sizes)
    is_row = n > 0 and lanes == 1 and not any(s[-1] for s in walk.strides[-indices:])
    return n - 1 if is_row else n


def _in_vectors(
    walk: Walk, items: int, indices: int, table: dtype, widths: Sequence[int]
) -> tuple[int, Walk, int]:
    """How many neighbouring elements can be handled together, the walk over such vectors, and how
    many of its dimensions items stand for."""
    is_simple = table.category in (1, 2) and not (table.itemsize == 2 and table.category == 2)
    d = next((d for d in (len(walk.sizes) - 1, items - 1) if d >= 0 and not any(
        s[d] for s in walk.strides[-indices:]) and all(
        s[d] == 1 for s in walk.strides[:-indices])), None)  # of rows, or an item's own elements
    width = 1 if d is None else next((w for w in widths if walk.sizes[d] % w == 0), 1)
    if d is None or not is_simple or width == 1:
        return 1, walk, items

    def replaced(steps: tuple[int, ...], value: int) -> tuple[int, ...]:
        return (*steps[:d], value, *steps[d + 1:])

    strides = tuple(replaced(s, s[d] * width) for s in walk.strides)
    return width, Walk(replaced(walk.sizes, walk.sizes[d] // width), strides), max(items, d + 1)


def _lines(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[Walk, Walk]:
    """The dimensions of the table's own, and those along which one element may come again."""
    own = [d for d, s in enumerate(strides[0]) if s]
    shared = [d for d, s in enumerate(strides[0]) if not s]
    first, second = (
        collapse([shape[d] for d in dims], [[s[d] for d in dims] for s in strides])
        for dims in (own, shared))
    return first, second


def _parts(value: Any, what: dtype) -> tuple[Any, ...]:
    """A number as a kernel takes it."""
    if what.is_complex:
        value = complex(value)
        return (value.real, value.imag)
    if what.category == 2:
        return (float(value),)
    if what.category == 0:
        return (bool(value),)
    bits = 8 * what.itemsize
    half = 0 if _register(what)[0] == "u" else 1 << (bits - 1)
    return ((int(value) + half) % (1 << bits) - half,)


def _register(what: dtype) -> Register:
    return register_of(STORAGE[what.name])


# ---- primitives --------------------------------------------------------------------------------
def table(backend: GeneratedBackend) -> KernelTable:
    """The kernels of the family."""
    result = KernelTable()
    indexing = Indexing(backend)
    _primitives(result, indexing)
    _slices(result, indexing)
    _advanced(result, indexing)
    return result


def _primitives(result: KernelTable, indexing: Indexing) -> None:
    backend = indexing.backend

    def gather(out: Strided, x: Strided, index: Strided, dim: int) -> None:
        indexing.run("gather", "read", x, out, [index], lambda: along(
            x.layout, dim, index.layout, out.layout), dim)

    def gather_fresh(x: Strided, index: Strided, dim: int) -> Strided:
        out = backend.empty(
            x.dtype, Layout.contiguous(index.shape), backend.index_of(x.buffer))
        gather(out, x, index, dim)
        return out

    result.register("gather", fresh=gather_fresh)(gather)
    actions: dict[str, Action] = {"scatter_elements": "set", "scatter_add": "add"}
    for name, action in actions.items():
        _register_written(result, indexing, name, _scatter(indexing, name, action))


def _scatter(indexing: Indexing, name: str, action: Action) -> Callable[..., Any]:
    said = "scatter" if name == "scatter_elements" else name

    def scatter(out: Strided, x: Strided, index: Strided, src: Any, dim: int) -> None:
        indexing.write(said, action, out, x, src, [index], lambda table, value: along(
            table, dim, index.layout, value), dim)

    return scatter


def _register_written(
    result: KernelTable, indexing: Indexing, name: str, kernel: Callable[..., Any]
) -> None:
    """An op that writes to a copy of its first input."""
    backend = indexing.backend

    def fresh(x: Strided, *inputs: Any, **attributes: Any) -> Any:
        out = backend.empty(x.dtype, Layout.contiguous(x.shape), backend.index_of(x.buffer))
        done = kernel(out, x, *inputs, **attributes)
        return NotImplemented if done is NotImplemented else out

    result.register(name, fresh=fresh)(kernel)


# ---- whole slices ------------------------------------------------------------------------------
def _is_vector(index: Strided) -> bool:
    return index.layout.ndim <= 1 and index.dtype in INDICES


def _slices(result: KernelTable, indexing: Indexing) -> None:
    backend = indexing.backend

    def rows(name: str, x: Strided, index: Strided, dim: int) -> Strided:
        shape, _ = indexed_shape(x.layout, {dim: index.layout})
        out = backend.empty(x.dtype, Layout.contiguous(shape), backend.index_of(x.buffer))
        indexing.run(name, "read", x, out, [index], lambda: broadcast(
            x.layout, {dim: index.layout}, out.layout), dim)
        return out

    def index_select(x: Strided, index: Strided, dim: int) -> Any:
        n = x.layout.ndim
        if not n or not -n <= dim < n or index.layout.ndim != 1 or index.dtype not in INDICES:
            return NotImplemented
        if not x.layout.numel and index.layout.numel:
            return NotImplemented  # no element would be looked up: the decomposition checks
        return rows("index_select", x, index, dim % n)

    def embedding_rows(
        input: Strided, weight: Strided, padding_idx: int, scale_grad_by_freq: bool
    ) -> Any:
        if weight.layout.ndim != 2 or input.dtype not in INDICES or not weight.layout.numel:
            return NotImplemented
        return rows("embedding", weight, input, 0)

    def embedding_dense_backward(
        g: Strided, indices: Strided, num_weights: int, padding_idx: int, scale_grad_by_freq: bool
    ) -> Any:
        if scale_grad_by_freq or indices.dtype not in INDICES or not g.layout.numel:
            return NotImplemented
        wide = WIDE.get(g.dtype, g.dtype)
        layout, at = Layout.contiguous((num_weights, g.shape[-1])), backend.index_of(g.buffer)
        sums = backend.empty(wide, layout, at)
        indexing.fill(sums, value=0.0)
        indexing.run("embedding_dense_backward", "add", sums, g, [indices], lambda: broadcast(
            layout, {0: indices.layout}, g.layout), 0, skip=padding_idx)
        if wide is g.dtype:
            return sums
        out = backend.empty(g.dtype, layout, at)
        indexing.copy(out, sums)
        return out

    result.register_fresh("index_select")(index_select)
    result.register_fresh("embedding_rows")(embedding_rows)
    result.register_fresh("embedding_dense_backward")(embedding_dense_backward)
    _register_written(result, indexing, "index_add", _slice_writer(indexing, "index_add", "add"))
    _register_written(result, indexing, "index_copy", _slice_writer(indexing, "index_copy", "set"))
    _register_written(result, indexing, "index_fill", _slice_filler(indexing))


def _slice_writer(indexing: Indexing, name: str, action: Action) -> Callable[..., Any]:
    def write(
        out: Strided, x: Strided, index: Strided, source: Strided, dim: int, alpha: Any = 1
    ) -> Any:
        n = x.layout.ndim
        if not n or not -n <= dim < n or not _is_vector(index) or alpha != 1 or (
                source.dtype is not x.dtype or source.layout.ndim != n):
            return NotImplemented
        dim %= n
        wanted = list(x.shape)
        wanted[dim] = index.layout.numel
        if list(source.shape) != wanted or not source.layout.numel:
            return NotImplemented
        indexing.write(name, action, out, x, source, [index], lambda table, value: broadcast(
            table, {dim: _vector(index.layout)}, value), dim)
        return None

    return write


def _vector(layout: Layout) -> Layout:
    return layout if layout.ndim else Layout.of((1,), (1,), layout.offset)


def _slice_filler(indexing: Indexing) -> Callable[..., Any]:
    def fill(out: Strided, x: Strided, index: Strided, value: Any, dim: int) -> Any:
        n = x.layout.ndim
        if not n or not -n <= dim < n or not _is_vector(index) or isinstance(value, Strided) or (
                not x.layout.numel or not _fits(value, x.dtype)):
            return NotImplemented
        dim %= n

        def places(table: Layout, _: Any) -> Places:
            indices = {dim: _vector(index.layout)}
            shape, _ = indexed_shape(table, indices)
            return broadcast(table, indices, Layout.of((), (), 0).expand(shape))

        indexing.write("index_fill", "set", out, x, value, [index], places, dim, wraps=True)
        return None

    return fill


def _fits(value: Any, what: dtype) -> bool:
    """Whether a number is of a dtype's category or a lower one."""
    return (bool, int, float, complex).index(type(value)) <= what.category


# ---- indices of several dimensions -------------------------------------------------------------
def _given(x: Strided, indices: Any) -> dict[int, Strided] | None:
    """The indices by dimension, None if there is something special about them."""
    given = {d: i for d, i in enumerate(indices) if i is not None}
    if not given or len(indices) > x.layout.ndim or not x.layout.numel or any(
            i.dtype not in INDICES for i in given.values()):
        return None
    return given


def _advanced(result: KernelTable, indexing: Indexing) -> None:
    backend = indexing.backend

    def take_at(x: Strided, indices: Any) -> Any:
        given = _given(x, indices)
        if given is None:
            return NotImplemented
        layouts = {d: i.layout for d, i in given.items()}
        try:
            shape, _ = indexed_shape(x.layout, layouts)
        except RuntimeError:
            return NotImplemented
        out = backend.empty(x.dtype, Layout.contiguous(shape), backend.index_of(x.buffer))
        indexing.run("index", "read", x, out, list(given.values()), lambda: broadcast(
            x.layout, layouts, out.layout), tuple(given), wraps=True)
        return out

    def index_put(
        out: Strided, x: Strided, indices: Any, values: Strided, accumulate: bool
    ) -> Any:
        given = _given(x, indices)
        if given is None or values.dtype is not x.dtype:
            return NotImplemented
        layouts = {d: i.layout for d, i in given.items()}
        try:
            shape, _ = indexed_shape(x.layout, layouts)
            if broadcast_shapes(shape, values.shape) != shape:
                return NotImplemented
        except RuntimeError:
            return NotImplemented
        indexing.write(
            "index_put", "add" if accumulate else "set", out, x, values, list(given.values()),
            lambda table, value: broadcast(table, layouts, value), tuple(given), wraps=True)
        return None

    result.register_fresh("index")(take_at)
    _register_written(result, indexing, "index_put", index_put)
