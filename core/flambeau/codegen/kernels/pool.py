"""Greatest values and means of sliding windows, and their adjoints.

Adjoints gather: every element asks the windows that it is in, so nothing is added concurrently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from flambeau import dtypes
from flambeau.codegen.block import Buffer, Kernel, KernelSource, Value, is_float, real
from flambeau.codegen.dialects.base import Dialect, Index, Register
from flambeau.codegen.kernels.conv import Spatial, Window
from flambeau.codegen.kernels.sums import accumulator, zero
from flambeau.dtypes import dtype


class Divisor(NamedTuple):
    """By what the sum of a window is divided.

    Attributes:
        counts_padding: whether elements in the padding count.
        is_given: whether it is the same number for all.
    """

    counts_padding: bool
    is_given: bool


class Tensor4(NamedTuple):
    """A tensor (N, C, *spatial) among a kernel's arguments."""

    buffer: Buffer
    start: str
    steps: list[str]
    """Along images, channels, spatial dimensions."""


class Pool(Spatial):
    """Writes what all these kernels have in common."""

    def __init__(
        self, name: str, dialect: Dialect, window: Window, index: Index, size: int
    ) -> None:
        super().__init__(Kernel(dialect, name, size), window, index)
        self.dialect = dialect

    def tensor(self, name: str, buffer: Buffer) -> Tensor4:
        """The offset and strides of a tensor."""
        start = self.kernel.scalar(f"start_{name}", self.index)
        steps = [self.kernel.scalar(f"step_{name}_{axis}", self.index)
                 for axis in ("image", "channel", *map(str, range(self.window.ndim)))]
        return Tensor4(buffer, start, steps)

    def plane(self, t: Tensor4, image: str, channel: str) -> str:
        """Where a channel of an image begins."""
        return self.let(
            f"{t.start} + {image} * {t.steps[0]} + {channel} * {t.steps[1]}", "plane")

    def start_of(
        self, item: str, channels: str, sizes: Sequence[str]
    ) -> tuple[str, str, list[str]]:
        """Image, channel and place of an element of a dense tensor."""
        plane, *at = self.split(item, ["", *sizes], "at")
        image = self.let(f"{plane} / {channels}", "image")
        return image, self.let(f"{plane} - {image} * {channels}", "channel"), at

    def is_within(self, places: Sequence[str], sizes: Sequence[str]) -> str:
        """Whether coordinates lie in the input; windows may also end beyond its padding."""
        return " && ".join(
            f"{z} >= 0 && {z} < {size}" for z, size in zip(places, sizes, strict=True))

    def tap_number(self, taps: Sequence[str]) -> str:
        """The number of an element of a window."""
        number = taps[0]
        for k, tap in zip(self.window.kernel[1:], taps[1:], strict=True):
            number = f"({number}) * {k} + {tap}"
        return self.let(number, "number")

    def windows_of(
        self, at: Sequence[str], taps: Sequence[str], counts: Sequence[str]
    ) -> tuple[list[str], str]:
        """The window in which an element is this one, and whether there is one."""
        windows, tests, w = [], [], self.window
        for d, (z, tap) in enumerate(zip(at, taps, strict=True)):
            back = self.let(f"{z} + {w.padding[d]} - {tap} * {w.dilation[d]}", "back")
            y = back if w.stride[d] == 1 else self.let(f"{back} / {w.stride[d]}", "y")
            windows.append(y)
            tests.append(f"{back} >= 0 && {y} < {counts[d]}")
            if w.stride[d] > 1:
                tests.append(f"{y} * {w.stride[d]} == {back}")
        return windows, " && ".join(tests)

    def divisor(
        self, kind: Divisor, given: str, at: Sequence[str], sizes: Sequence[str],
        register: Register,
    ) -> str:
        """That of the window at a place."""
        if kind.is_given:
            return self.dialect.cast(given, self.index, register)
        w, least, factors = self.window, self.least, []
        for d, y in enumerate(at):
            begin = self.origin(d, y)
            end = self.let(least(
                f"({begin} + {w.kernel[d]})", f"({sizes[d]} + {w.padding[d]})"), "end")
            if kind.counts_padding:
                factors.append(f"({end} - {begin})")
            else:
                first = self.let(
                    self.dialect.basic("max", [begin, self.none()], self.index), "first")
                factors.append(f"({self.let(least(end, sizes[d]), 'end')} - {first})")
        area = self.let(" * ".join(factors), "area")
        return self.dialect.cast(area, self.index, register)

    def none(self) -> str:
        """The index 0."""
        return self.dialect.literal(0, self.index)

    def least(self, a: str, b: str) -> str:
        """Of two indices."""
        return self.dialect.basic("min", [a, b], self.index)

    def load(self, t: Tensor4, plane: str, places: Sequence[str]) -> Value:
        """An element, in the type of sums."""
        value = self.kernel.load(t.buffer, self.element(plane, places, t.steps[2:]))
        return self.kernel.let(
            self.kernel.cast(value, accumulator(t.buffer.dtype)), "value")

    def chosen(self, t: Tensor4, plane: str, places: Sequence[str]) -> str:
        """Which element a window holds."""
        value = self.kernel.load(t.buffer, self.element(plane, places, t.steps[2:]))
        return self.kernel.let(self.kernel.cast(value, self.index), "chosen").text


@dataclass(frozen=True, slots=True)
class MaxPool:
    """A kernel of the greatest values of windows.

    Attributes:
        dtype: of the elements.
        which: of the number of the element that won, if it is wanted.
        window: the windows.
        index: type of indices.
        group_size: work items per group.
    """

    dtype: dtype
    which: dtypes.dtype | None
    window: Window
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the results (dense) and the input; the number of
        windows; channels; the input's offset and strides; its spatial sizes; how many windows
        there are along them.  NaN counts as greatest, and the first of equals wins.
        """
        p = Pool("fb_max_pool", dialect, self.window, self.index, self.group_size)
        kernel = p.kernel
        out = kernel.buffer("out", self.dtype, True)
        which = kernel.buffer("which", self.which, True) if self.which is not None else None
        source = kernel.buffer("input", self.dtype)
        count, channels = (kernel.scalar(name, self.index) for name in ("count", "channels"))
        x = p.tensor("input", source)
        sizes, counts = p.scalars("size"), p.scalars("count")
        register = accumulator(self.dtype)
        with kernel.item(count, self.index) as item:
            image, channel, at = p.start_of(item, channels, counts)
            plane = p.plane(x, image, channel)
            origins = [p.origin(d, y) for d, y in enumerate(at)]
            best = kernel.variable(
                real(register, dialect.literal(self.lowest(), register)), "best")
            winner = kernel.variable(real(self.index, p.none()), "winner")
            with p.each_tap() as taps:
                places = [p.within(d, o, tap)
                          for d, (o, tap) in enumerate(zip(origins, taps, strict=True))]
                with kernel.when(p.is_within(places, sizes)):
                    value = p.load(x, plane, places)
                    with kernel.when(self.wins(dialect, value, best)):
                        kernel.assign(best, value)
                        if which is not None:
                            kernel.assign(winner, real(self.index, p.tap_number(taps)))
            kernel.store(out, item, best)
            if which is not None:
                kernel.store(which, item, winner)
        return kernel.finish()

    def lowest(self) -> float:
        """The least value of the dtype."""
        return float("-inf") if self.dtype.category == 2 else dtypes.iinfo(self.dtype).min

    def wins(self, dialect: Dialect, value: Value, best: Value) -> str:
        """Whether a value is greater than the best so far."""
        register = value.register
        test = dialect.compare(">", value.text, best.text, register)
        if not is_float(register):
            return test
        is_nan = dialect.compare("!=", value.text, value.text, register)
        is_first = dialect.compare("==", best.text, best.text, register)
        return f"{test} || ({is_nan} && {is_first})"


@dataclass(frozen=True, slots=True)
class MaxGather:
    """A kernel that takes of every window the element of a number, 0 in the padding.

    Attributes as those of :class:`MaxPool`.
    """

    dtype: dtype
    which: dtypes.dtype
    window: Window
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the result (dense), the input, the numbers; how many
        windows; channels; offset and strides of both inputs; spatial sizes; windows along them.
        """
        p = Pool("fb_max_pool_gather", dialect, self.window, self.index, self.group_size)
        kernel = p.kernel
        out = kernel.buffer("out", self.dtype, True)
        source, which = kernel.buffer("input", self.dtype), kernel.buffer("which", self.which)
        count, channels = (kernel.scalar(name, self.index) for name in ("count", "channels"))
        x, numbers = p.tensor("input", source), p.tensor("which", which)
        sizes, counts = p.scalars("size"), p.scalars("count")
        with kernel.item(count, self.index) as item:
            image, channel, at = p.start_of(item, channels, counts)
            number = p.chosen(numbers, p.plane(numbers, image, channel), at)
            places = [
                p.let(f"{p.origin(d, y)} + {tap} * {self.window.dilation[d]}", "z")
                for d, (y, tap) in enumerate(zip(at, p.taps(number), strict=True))]
            total = zero(kernel, self.dtype, "total")
            with kernel.when(p.is_within(places, sizes)):
                kernel.assign(total, p.load(x, p.plane(x, image, channel), places))
            kernel.store(out, item, total)
        return kernel.finish()


@dataclass(frozen=True, slots=True)
class Mean:
    """A kernel of the means of windows.

    Attributes:
        dtype: of the elements.
        divisor: by what sums are divided.
        window: the windows.
        index: type of indices.
        group_size: work items per group.
    """

    dtype: dtype
    divisor: Divisor
    window: Window
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the result (dense) and the input; the number of windows;
        channels; a divisor; the input's offset and strides; its spatial sizes; how many windows
        there are along them.
        """
        p = Pool("fb_avg_pool", dialect, self.window, self.index, self.group_size)
        kernel = p.kernel
        out, source = kernel.buffer("out", self.dtype, True), kernel.buffer("input", self.dtype)
        count, channels, given = (
            kernel.scalar(name, self.index) for name in ("count", "channels", "divisor"))
        x = p.tensor("input", source)
        sizes, counts = p.scalars("size"), p.scalars("count")
        register = accumulator(self.dtype)
        with kernel.item(count, self.index) as item:
            image, channel, at = p.start_of(item, channels, counts)
            plane = p.plane(x, image, channel)
            origins = [p.origin(d, y) for d, y in enumerate(at)]
            total = zero(kernel, self.dtype, "total")
            with p.each_tap() as taps:
                places = [p.within(d, o, tap)
                          for d, (o, tap) in enumerate(zip(origins, taps, strict=True))]
                with kernel.when(p.is_within(places, sizes)):
                    value = p.load(x, plane, places)
                    kernel.assign(total, real(
                        register, dialect.binary("+", total.text, value.text, register)))
            by = p.divisor(self.divisor, given, at, sizes, register)
            kernel.store(out, item, real(
                register, dialect.binary("/", total.text, by, register)))
        return kernel.finish()


@dataclass(frozen=True, slots=True)
class Spread:
    """A kernel of the adjoint of :class:`MaxPool` or :class:`Mean`.

    Attributes:
        dtype: of the elements.
        which: of the numbers of the elements that won; None for means.
        divisor: of means.
        window: the windows.
        index: type of indices.
        group_size: work items per group.
    """

    dtype: dtype
    which: dtypes.dtype | None
    divisor: Divisor
    window: Window
    index: Index
    group_size: int

    def source(self, dialect: Dialect) -> KernelSource:
        """The kernel.

        Its arguments are: the buffers of the result (dense), the windows' gradients and the
        numbers; how many elements the result has; channels; a divisor; offset and strides of both
        inputs; spatial sizes; how many windows there are along them.
        """
        p = Pool("fb_pool_spread", dialect, self.window, self.index, self.group_size)
        kernel = p.kernel
        out, source = kernel.buffer("out", self.dtype, True), kernel.buffer("grad", self.dtype)
        which = kernel.buffer("which", self.which) if self.which is not None else None
        count, channels, given = (
            kernel.scalar(name, self.index) for name in ("count", "channels", "divisor"))
        grad = p.tensor("grad", source)
        numbers = p.tensor("which", which) if which is not None else None
        sizes, counts = p.scalars("size"), p.scalars("count")
        register = accumulator(self.dtype)
        with kernel.item(count, self.index) as item:
            image, channel, at = p.start_of(item, channels, sizes)
            plane = p.plane(grad, image, channel)
            codes = p.plane(numbers, image, channel) if numbers is not None else ""
            total = zero(kernel, self.dtype, "total")
            with p.each_tap() as taps:
                windows, test = p.windows_of(at, taps, counts)
                with kernel.when(test):
                    value = p.load(grad, plane, windows).text
                    if numbers is not None:
                        number = p.chosen(numbers, codes, windows)
                        value = dialect.select(
                            f"{number} == {p.tap_number(taps)}", value,
                            dialect.literal(0, register), register)
                    else:
                        by = p.divisor(self.divisor, given, windows, sizes, register)
                        value = dialect.binary("/", value, by, register)
                    kernel.assign(total, real(
                        register, dialect.binary("+", total.text, value, register)))
            kernel.store(out, item, total)
        return kernel.finish()
