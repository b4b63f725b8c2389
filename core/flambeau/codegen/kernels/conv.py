"""Convolutions around a matrix product: windows as columns, columns back to an input, and sums
over single channels without a product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from flambeau.codegen.block import Buffer, Kernel, KernelSource, Value, real
from flambeau.codegen.dialects.base import Dialect, Index
from flambeau.codegen.kernels.panels import AT_A_TIME, along, panel_dtype, team
from flambeau.codegen.kernels.sums import accumulator, multiply_add, zero
from flambeau.dtypes import dtype


class Window(NamedTuple):
    """Windows of some size over every spatial dimension, a number per dimension each."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Spatial dimensions."""
        return len(self.kernel)

    @property
    def area(self) -> int:
        """Elements of a window."""
        result = 1
        for n in self.kernel:
            result *= n
        return result


class Spatial:
    """Writes index arithmetic of windows into a kernel."""

    def __init__(self, kernel: Kernel, window: Window, index: Index) -> None:
        self.kernel, self.window, self.index = kernel, window, index

    def let(self, text: str, hint: str) -> str:
        """An index under a name."""
        return self.kernel.integer(text, self.index, hint)

    def scalars(self, name: str) -> list[str]:
        """A parameter per spatial dimension."""
        return [self.kernel.scalar(f"{name}_{d}", self.index) for d in range(self.window.ndim)]

    def split(self, number: str, sizes: Sequence[str | int], hint: str) -> list[str]:
        """The coordinates of an element from its number; the first size is not read."""
        result: list[str] = []
        for size in reversed(sizes[1:]):
            if str(size) == "1":
                result.insert(0, "0")
                continue
            rest = self.let(f"{number} / {size}", "rest")
            result.insert(0, self.let(f"{number} - {rest} * {size}", hint))
            number = rest
        return [number, *result]

    def taps(self, number: str) -> list[str]:
        """The coordinates within a window."""
        return self.split(number, self.window.kernel, "tap")

    @contextmanager
    def each_tap(self) -> Iterator[list[str]]:
        """Loops over the elements of a window."""
        with self.nested(0) as taps:
            yield taps

    @contextmanager
    def nested(self, d: int) -> Iterator[list[str]]:
        """The loops from a dimension on."""
        if d == self.window.ndim:
            yield []
            return
        with self.loop(self.window.kernel[d]) as tap, self.nested(d + 1) as rest:
            yield [tap, *rest]

    @contextmanager
    def loop(self, count: int) -> Iterator[str]:
        """A loop, unless there is one turn."""
        if count == 1:
            yield "0"
            return
        with self.kernel.loop(self.index, "0", f"{count}", hint="tap") as tap:
            yield tap

    def origin(self, d: int, at: str) -> str:
        """Where the window at a position begins along a dimension."""
        w = self.window
        text = at if w.stride[d] == 1 else f"{at} * {w.stride[d]}"
        return self.let(f"{text} - {w.padding[d]}" if w.padding[d] else text, "origin")

    def within(self, d: int, origin: str, tap: str) -> str:
        """The coordinate of an element of a window."""
        step = self.window.dilation[d]
        if tap == "0":
            return origin
        return self.let(f"{origin} + {tap}" if step == 1 else f"{origin} + {tap} * {step}", "z")

    def is_inside(self, places: Sequence[str], sizes: Sequence[str]) -> str:
        """Whether coordinates lie in the input and not in its padding; "" if all do."""
        tests = []
        for d, (z, size) in enumerate(zip(places, sizes, strict=True)):
            if self.window.padding[d]:
                tests.append(f"{z} >= 0 && {z} < {size}")
        if not tests:
            return ""
        return self.kernel.let(real("bool", " && ".join(tests)), "is_inside").text

    def element(self, start: str, places: Sequence[str], steps: Sequence[str]) -> str:
        """The index of an element."""
        for z, step in zip(places, steps, strict=True):
            start = along(start, z, step)
        return start


@dataclass(frozen=True, slots=True)
class Columns:
    """A kernel that copies windows into panels of a matrix product's operand b (or a).

    Panels are those of :class:`flambeau.codegen.kernels.panels.Pack`.  Their rows are positions of
    windows and the inner dimension is the elements of a window in all channels of a group; or the
    other way around, and then the inner dimension runs over all images.

    Attributes:
        dtype: of the input.
        window: the windows.
        is_turned: the other way around.
        width: of a panel.
        index: type of indices.
    """

    dtype: dtype
    window: Window
    is_turned: bool
    width: int
    index: Index

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        A team of ``width`` items copies a piece of a panel.  The arguments are: the buffers of the
        panels and of the input; the number of items; rows, the inner size, pieces of it, panels;
        groups; the input's offset and its strides along images, groups, channels and spatial
        dimensions; its spatial sizes; how many windows there are along them, and in all.
        """
        kernel, index, width = Kernel(dialect, "fb_columns", self.width), self.index, self.width
        s = Spatial(kernel, self.window, index)
        panels = kernel.buffer("panels", panel_dtype(self.dtype), True)
        source = kernel.buffer("input", self.dtype)
        count, rows, inner, pieces, tiles, groups, start = (
            kernel.scalar(name, index) for name in (
                "count", "rows", "inner", "pieces", "tiles", "groups", "start"))
        of_image, of_group, of_channel = (
            kernel.scalar(f"step_{name}", index) for name in ("image", "group", "channel"))
        steps, sizes, counts = s.scalars("step"), s.scalars("size"), s.scalars("count")
        length = kernel.scalar("length", index)
        with kernel.item(count, index) as item:
            piece, t = team(kernel, item, width, index)
            panel = s.let(f"{piece} / {pieces}", "panel")
            first = s.let(f"({piece} - {panel} * {pieces}) * {AT_A_TIME}", "first")
            which = s.let(f"{panel} / {tiles}", "which")
            row = s.let(f"({panel} - {which} * {tiles}) * {width} + {t}", "row")
            is_row = kernel.let(real("bool", f"{row} < {rows}"), "is_row").text
            row = s.let(dialect.basic("min", [row, s.let(f"{rows} - 1", "last")], index), "inside")
            if self.is_turned:
                base = s.let(f"{start} + {which} * {of_group}", "base")
                channel, taps = self.channel(s, row)
                base = s.let(f"{base} + {channel} * {of_channel}", "base")
            else:
                image = s.let(f"{which} / {groups}", "image")
                base = s.let(f"{start} + {image} * {of_image} + "
                             f"({which} - {image} * {groups}) * {of_group}", "base")
                origins = [s.origin(d, at) for d, at in enumerate(s.split(row, counts, "at"))]
            end = s.let(dialect.basic("min", [f"({first} + {AT_A_TIME})", inner], index), "end")
            with kernel.loop(index, first, end, hint="k") as k:
                if self.is_turned:
                    image = s.let(f"{k} / {length}", "image")
                    at = s.split(s.let(f"{k} - {image} * {length}", "at"), counts, "at")
                    origins = [s.origin(d, x) for d, x in enumerate(at)]
                    here = s.let(f"{base} + {image} * {of_image}", "here")
                else:
                    channel, taps = self.channel(s, k)
                    here = s.let(f"{base} + {channel} * {of_channel}", "here")
                places = [s.within(d, o, x)
                          for d, (o, x) in enumerate(zip(origins, taps, strict=True))]
                inside = s.is_inside(places, sizes)
                where = s.let(s.element(here, places, steps), "where")
                if inside:
                    where = s.let(dialect.select(inside, where, start, index), "where")
                value = kernel.load(source, where)
                nothing = dialect.literal(0, value.register)
                chosen = is_row if not inside else f"({is_row} && {inside})"
                kernel.store(panels, f"({panel} * {inner} + {k}) * {width} + {t}", Value(
                    value.register, tuple(
                        dialect.select(chosen, part, nothing, value.register)
                        for part in value.parts)))
        return kernel.finish()

    def channel(self, s: Spatial, number: str) -> tuple[str, list[str]]:
        """The channel and the place in the window of an element of the windows."""
        if self.window.area == 1:
            return number, ["0"] * self.window.ndim
        channel = s.let(f"{number} / {self.window.area}", "channel")
        return channel, s.taps(s.let(f"{number} - {channel} * {self.window.area}", "tap"))


@dataclass(frozen=True, slots=True)
class Fold:
    """A kernel that sums columns back to the elements that they were copied from.

    Attributes:
        dtype: of all elements.
        window: the windows.
        has_bias: whether a number per channel is added.
        index: type of indices.
        group_size: work items per group.
    """

    dtype: dtype
    window: Window
    has_bias: bool
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the result (dense), the columns (images, channels,
        elements of a window, windows) and the bias; the number of elements; the offset of the
        first; channels; spatial sizes; how many windows there are along them, and in all; the
        bias' offset and stride.
        """
        kernel, index = Kernel(dialect, "fb_fold", self.group_size), self.index
        s = Spatial(kernel, self.window, index)
        out = kernel.buffer("out", self.dtype, True)
        columns = kernel.buffer("columns", self.dtype)
        bias = kernel.buffer("bias", self.dtype) if self.has_bias else None
        count, start, channels = (
            kernel.scalar(name, index) for name in ("count", "start", "channels"))
        sizes, counts = s.scalars("size"), s.scalars("count")
        length = kernel.scalar("length", index)
        of_bias = [kernel.scalar(name, index) for name in ("start_bias", "step_bias")
                   if self.has_bias]
        with kernel.item(count, index) as item:
            plane, *rest = s.split(item, ["", *sizes], "z")
            total = zero(kernel, self.dtype, "total")
            if bias is not None:
                channel = s.let(f"{plane} % {channels}", "channel")
                value = kernel.load(bias, f"{of_bias[0]} + {channel} * {of_bias[1]}")
                kernel.assign(total, kernel.cast(value, total.register))
            base = s.let(f"{plane} * {self.window.area} * {length}", "base")
            self.gather(kernel, s, total, columns, base, rest, counts, length)
            kernel.store(out, f"{start} + {item}", total)
        return kernel.finish()

    def gather(
        self, kernel: Kernel, s: Spatial, total: Value, columns: Buffer, base: str,
        at: list[str], counts: list[str], length: str,
    ) -> None:
        """Add what every element of a window holds for this place."""
        w = self.window
        with s.each_tap() as taps:
            tests, windows, tap = [], [], "0"
            for d in range(w.ndim):
                tap = taps[d] if tap == "0" else f"({tap}) * {w.kernel[d]} + {taps[d]}"
                back = s.let(f"{at[d]} + {w.padding[d]} - {taps[d]} * {w.dilation[d]}", "back")
                y = back if w.stride[d] == 1 else s.let(f"{back} / {w.stride[d]}", "y")
                windows.append(y)
                tests.append(f"{back} >= 0 && {y} < {counts[d]}")
                if w.stride[d] > 1:
                    tests.append(f"{y} * {w.stride[d]} == {back}")
            with kernel.when(" && ".join(tests)):
                where = s.let(f"{base} + ({tap}) * {length}", "where")
                inner = windows[0]
                for d in range(1, w.ndim):
                    inner = f"({inner}) * {counts[d]} + {windows[d]}"
                value = kernel.cast(
                    kernel.load(columns, f"{where} + {inner}"), accumulator(self.dtype))
                kernel.assign(total, Value(total.register, tuple(
                    kernel.dialect.binary("+", x, y, total.register)
                    for x, y in zip(total.parts, value.parts, strict=True))))


@dataclass(frozen=True, slots=True)
class Direct:
    """A kernel of convolutions with few output channels per group.

    An item computes one place of some of them.

    Attributes:
        dtype: of all elements.
        window: the windows.
        outs: output channels of an item.
        has_bias: whether there is a bias.
        index: type of indices.
        group_size: of a team, which has places of the same image and channels.
    """

    dtype: dtype
    window: Window
    outs: int
    has_bias: bool
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the result (dense), input, weight, bias; the number of
        items; teams per plane; groups; how many output channels and blocks of them there are per
        group, and input channels; the input's offset and strides along images, groups, channels
        and spatial dimensions; its spatial sizes; how many windows there are along them, and in
        all; the weight's offset and strides along output and input channels and spatial
        dimensions; the bias' offset and stride.
        """
        kernel, index = Kernel(dialect, "fb_conv_direct", self.group_size), self.index
        s = Spatial(kernel, self.window, index)
        out = kernel.buffer("out", self.dtype, True)
        source, weight = kernel.buffer("input", self.dtype), kernel.buffer("weight", self.dtype)
        bias = kernel.buffer("bias", self.dtype) if self.has_bias else None
        count, pieces, groups, each, blocks, channels, start, of_image, of_group, of_channel = (
            kernel.scalar(name, index) for name in (
                "count", "pieces", "groups", "each", "blocks", "channels", "start", "step_image",
                "step_group", "step_channel"))
        steps, sizes, counts = s.scalars("step"), s.scalars("size"), s.scalars("count")
        length, start_w, of_out, of_in = (
            kernel.scalar(name, index) for name in ("length", "start_w", "step_out", "step_in"))
        steps_w = s.scalars("step_w")
        of_bias = [kernel.scalar(name, index) for name in ("start_bias", "step_bias")
                   if self.has_bias]
        with kernel.item(count, index) as item:
            number, local = team(kernel, item, self.group_size, index)
            rest = s.let(f"{number} / {pieces}", "rest")
            place = s.let(f"({number} - {rest} * {pieces}) * {self.group_size} + {local}", "place")
            plane = s.let(f"{rest} / {blocks}", "plane")
            first = s.let(f"({rest} - {plane} * {blocks}) * {self.outs}", "first")
            image = s.let(f"{plane} / {groups}", "image")
            group = s.let(f"{plane} - {image} * {groups}", "group")
            with kernel.when(f"{place} < {length}"):
                origins = [s.origin(d, x) for d, x in enumerate(s.split(place, counts, "at"))]
                base = s.let(
                    f"{start} + {image} * {of_image} + {group} * {of_group}", "base")
                last = s.let(f"{each} - 1", "last")
                owns = [s.let(dialect.basic("min", [f"({first} + {i})", last], index), "own")
                        for i in range(self.outs)]
                outs = [s.let(f"{group} * {each} + {own}", "channel") for own in owns]
                rows = [s.let(f"{start_w} + {o} * {of_out}", "row") for o in outs]
                totals = [zero(kernel, self.dtype, "total") for _ in outs]
                if bias is not None:
                    for total, o in zip(totals, outs, strict=True):
                        value = kernel.load(bias, f"{of_bias[0]} + {o} * {of_bias[1]}")
                        kernel.assign(total, kernel.cast(value, total.register))
                with kernel.loop(index, "0", channels, hint="c") as c, s.each_tap() as taps:
                    places = [s.within(d, o, x)
                              for d, (o, x) in enumerate(zip(origins, taps, strict=True))]
                    inside = s.is_inside(places, sizes)
                    with kernel.when(inside) if inside else nullcontext():
                        x = factor(kernel, source, s.element(
                            f"{base} + {c} * {of_channel}", places, steps))
                        for total, row in zip(totals, rows, strict=True):
                            multiply_add(kernel, total, x, factor(kernel, weight, s.element(
                                f"{row} + {c} * {of_in}", taps, steps_w)))
                channel_start = f"{image} * {groups} * {each}"
                for i, (total, o) in enumerate(zip(totals, outs, strict=True)):
                    with kernel.when(f"{first} + {i} < {each}"):
                        kernel.store(
                            out, f"({channel_start} + {o}) * {length} + {place}", total)
        return kernel.finish()

@dataclass(frozen=True, slots=True)
class DirectWeights:
    """A kernel of the weight's gradient with few output channels per group.

    An item sums over the places of some images, for an element of the windows and some channels.

    Attributes:
        dtype: of the tensors.
        window: the windows.
        outs: output channels of an item.
        index: type of indices.
        group_size: of a team, which has elements of the same group, channels and images.
    """

    dtype: dtype
    window: Window
    outs: int
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the sums (pieces, output channels, elements of a window
        in the channels of a group), of the result's gradient and of the input; the number of
        items; teams and blocks of output channels per group; groups, output channels of one, and
        elements; images, and how many of them a piece has; offset and strides of the gradient
        along images, channels and spatial dimensions; those of the input along images, groups,
        channels and spatial dimensions; its spatial sizes; how many windows there are along them.
        """
        kernel, index = Kernel(dialect, "fb_conv_weights", self.group_size), self.index
        s = Spatial(kernel, self.window, index)
        sums = kernel.buffer("sums", panel_dtype(self.dtype), True)
        grad, source = kernel.buffer("grad", self.dtype), kernel.buffer("input", self.dtype)
        count, teams, blocks, groups, each, depth, images, share = (
            kernel.scalar(name, index) for name in (
                "count", "teams", "blocks", "groups", "each", "depth", "images", "share"))
        start_g, image_g, channel_g = (
            kernel.scalar(name, index) for name in ("start_g", "step_g_image", "step_g_channel"))
        steps_g = s.scalars("step_g")
        start, of_image, of_group, of_channel = (
            kernel.scalar(name, index)
            for name in ("start", "step_image", "step_group", "step_channel"))
        steps, sizes, counts = s.scalars("step"), s.scalars("size"), s.scalars("count")
        with kernel.item(count, index) as item:
            number, local = team(kernel, item, self.group_size, index)
            piece, group, block, part = s.split(number, ["", groups, blocks, teams], "at")
            element = s.let(f"{part} * {self.group_size} + {local}", "element")
            first = s.let(f"{block} * {self.outs}", "first")
            begin = s.let(f"{piece} * {share}", "begin")
            end = s.let(dialect.basic("min", [f"({begin} + {share})", images], index), "end")
            with kernel.when(f"{element} < {depth}"):
                channel = s.let(f"{element} / {self.window.area}", "channel")
                taps = s.taps(s.let(f"{element} - {channel} * {self.window.area}", "tap"))
                base = s.let(
                    f"{start} + {group} * {of_group} + {channel} * {of_channel}", "base")
                last = s.let(f"{each} - 1", "last")
                outs = [s.let(dialect.basic("min", [f"({first} + {i})", last], index), "own")
                        for i in range(self.outs)]
                rows = [s.let(f"{start_g} + ({group} * {each} + {o}) * {channel_g}", "row")
                        for o in outs]
                totals = [zero(kernel, self.dtype, "total") for _ in outs]
                with kernel.loop(index, begin, end, hint="image") as image:
                    here = s.let(f"{base} + {image} * {of_image}", "here")
                    there = s.let(f"{image} * {image_g}", "there")
                    with ExitStack() as loops:
                        at = [loops.enter_context(kernel.loop(index, "0", n, hint="at"))
                              for n in counts]
                        places = [s.within(d, s.origin(d, y), tap)
                                  for d, (y, tap) in enumerate(zip(at, taps, strict=True))]
                        inside = s.is_inside(places, sizes)
                        place = s.let(s.element(there, at, steps_g), "place")
                        with kernel.when(inside) if inside else nullcontext():
                            x = factor(kernel, source, s.element(here, places, steps))
                            for total, row in zip(totals, rows, strict=True):
                                multiply_add(
                                    kernel, total, x, factor(kernel, grad, f"{row} + {place}"))
                for i, (total, o) in enumerate(zip(totals, outs, strict=True)):
                    with kernel.when(f"{first} + {i} < {each}"):
                        kernel.store(sums, f"(({piece} * {groups} + {group}) * {each} + {o}) * "
                                     f"{depth} + {element}", total)
        return kernel.finish()


@dataclass(frozen=True, slots=True)
class Total:
    """A kernel that adds pieces of equal size.

    Attributes:
        dtype: of the result.
        index: type of indices.
        group_size: work items per group.
    """

    dtype: dtype
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel: the buffers of the result and of the pieces; elements of one; pieces."""
        kernel, index = Kernel(dialect, "fb_total", self.group_size), self.index
        out = kernel.buffer("out", self.dtype, True)
        sums = kernel.buffer("sums", panel_dtype(self.dtype))
        count, pieces = (kernel.scalar(name, index) for name in ("count", "pieces"))
        with kernel.item(count, index) as item:
            total = zero(kernel, self.dtype, "total")
            with kernel.loop(index, "0", pieces, hint="piece") as piece:
                value = factor(kernel, sums, f"{piece} * {count} + {item}")
                kernel.assign(total, Value(total.register, tuple(
                    dialect.binary("+", x, y, total.register)
                    for x, y in zip(total.parts, value.parts, strict=True))))
            kernel.store(out, item, total)
        return kernel.finish()


def factor(kernel: Kernel, buffer: Buffer, index: str) -> Value:
    """An element in the type of sums."""
    return kernel.let(
        kernel.cast(kernel.load(buffer, index), accumulator(buffer.dtype)), "factor")
