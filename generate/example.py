"""An example of an op: a call that a person could type, derived from the op's samples."""

from __future__ import annotations

import contextlib
import io
import math
import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.registry import Op
from flambeau.samples import Sample

WIDTH = 92
LARGEST_INPUT = 48  # elements that are written out
LARGEST_RESULT = 40
SETUP = {"fb": fb, "F": fb.nn.functional}
PREFIXES = {
    "nn.functional": "F.",
    "linalg": "fb.linalg.",
    "special": "fb.special.",
    "fft": "fb.fft.",
}
NUMBER = re.compile(r"(?<![\w.])-?\d+\.?\d*(?:e[+-]?\d+)?j?")


class Make:
    """Inputs with short decimals, always the same for an op (:class:`flambeau.samples.Make`)."""

    def __init__(self, op: Op) -> None:
        self.dtype = {"integral": fb.int64, "bool_integral": fb.int64, "complex": fb.complex64}.get(
            op.dtypes, fb.float32
        )
        self._random = np.random.default_rng(zlib.crc32(op.name.encode()))
        self.expressions: dict[int, tuple[fb.Tensor, str]] = {}
        """By id, what makes the tensors that are too large to be written out."""

    def __call__(
        self,
        *shape: int,
        low: float | None = None,
        high: float | None = None,
        dtype: fb.dtype | None = None,
        requires_grad: bool | None = None,
    ) -> fb.Tensor:
        """Values in [low, high): integers, or quarters where that leaves enough of them."""
        what = dtype or self.dtype
        if what.category < 2:
            first, last = (0, 2) if what is fb.bool else (-5, 5)
            first = first if low is None else math.ceil(low)
            last = max(first + 1, last if high is None else math.ceil(high))
            return fb.tensor(self._random.integers(first, last, shape).tolist(), dtype=what)
        low, high = -2.0 if low is None else low, 2.0 if high is None else high
        if math.prod(shape) > LARGEST_INPUT and what is fb.float32:
            return self._large(f"fb.linspace({low}, {high}, {math.prod(shape)})", shape)
        steps = next(s for s in (4, 20, 100, 10**6) if (high - low) * s > 8)
        values = self._random.integers(math.ceil(low * steps), math.ceil(high * steps), shape)
        values = np.round(values / steps, 6)
        if what.is_complex:
            values = values + 1j * self._random.integers(-4, 4, shape) / 4
        return fb.tensor(values.tolist(), dtype=what).reshape(shape)

    def index(self, high: int, *shape: int) -> fb.Tensor:
        """Integers in [0, high)."""
        if math.prod(shape) > LARGEST_INPUT:
            return self._large(f"fb.arange({math.prod(shape)}).remainder({high})", shape)
        return fb.tensor(self._random.integers(0, high, shape).tolist()).reshape(shape).long()

    def mask(self, *shape: int) -> fb.Tensor:
        """Booleans."""
        return fb.tensor(self._random.integers(0, 2, shape).astype(bool).tolist()).reshape(shape)

    def distinct(self, *shape: int) -> fb.Tensor:
        """A permutation of evenly spaced values around 0."""
        count = math.prod(shape)
        if count > LARGEST_INPUT:
            return self._large(f"fb.linspace(-2.0, 2.0, {count})", shape)
        values = self._random.permutation(count) - count // 2
        return fb.tensor(values.tolist()).reshape(shape).to(self.dtype)

    def _large(self, flat: str, shape: tuple[int, ...]) -> fb.Tensor:
        expression = f"{flat}.reshape{shape}"
        made: fb.Tensor = eval(expression, SETUP)
        self.expressions[id(made)] = made, expression
        return made


def example(op: Op) -> str | None:
    """Lines of an interactive session that calls the op, and what they print.

    None for ops without a public name, and for those with no sample small enough to be read.
    """
    call = public_name(op)
    if call is None:
        return None
    make = Make(op)
    for sample in _by_size(op, make):
        with contextlib.suppress(Exception):  # the next sample may be shorter
            statements = _Writer(make).statements(op, call, sample)
            printed = run(statements)
            if printed is not None and printed == run(statements):
                return _session(statements) + printed.rstrip("\n")
    return None


def public_name(op: Op) -> str | None:
    """How a program calls the op: with its module, or as a method (``.unfold``)."""
    space = op.namespaces[0]
    if space == "_internal":
        method = next((m for m in op.methods if not m.startswith("_")), None)
        return method and f".{method}"
    if space == "":
        return f"fb.{op.name}" if getattr(fb, op.name, None) is op.function else None
    return PREFIXES[space] + op.name.removeprefix(f"{space}_")


def _by_size(op: Op, make: Make) -> list[Sample]:
    """The samples in the op's order; first those that are neither empty nor large."""
    assert op.samples is not None
    samples = []
    with contextlib.suppress(Exception):  # samples that cannot be made of this dtype end the list
        samples.extend(op.samples(make))

    def badness(sample: Sample) -> int:
        sizes = [t.numel() for t in _tensors([sample.args, sample.kwargs])]
        if any(size == 0 for size in sizes):
            return 2
        return int(any(size > 24 for size in sizes))

    return sorted(samples, key=badness)


def _tensors(value: Any) -> Iterator[fb.Tensor]:
    if isinstance(value, fb.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


class _Writer:
    """Writes calls; knows what made the large tensors."""

    def __init__(self, make: Make) -> None:
        self._expressions = make.expressions
        self._statements: list[str] = []

    def statements(self, op: Op, call: str, sample: Sample) -> list[str]:
        """Assignments of the tensors to the names of the arguments, and the call."""
        given = []
        arguments = op.schema.arguments
        for i, value in enumerate(sample.args):
            named = i < len(arguments) and not arguments[i].is_rest
            given.append(self._argument(arguments[i].name if named else None, value))
        for name, value in sample.kwargs.items():
            given.append(f"{name}={self._argument(name, value)}")
        written = ", ".join(given)
        call = (
            f"{given[0]}{call}({', '.join(given[1:])})" if call[0] == "." else f"{call}({written})"
        )
        seed = ["_ = fb.manual_seed(0)"] if op.is_random else []
        return [*self._statements, *seed, call]

    def _argument(self, name: str | None, value: Any) -> str:
        """The text of an argument; tensors are assigned to a name first."""
        if name is None or not any(True for _ in _tensors([value])):
            return self.written(value)
        name = {"self": "input", "lambda": "lambd"}.get(name, name)
        self._statements.append(f"{name} = {self.written(value)}")
        return name

    def written(self, value: Any) -> str:
        """The expression that makes a value.

        Raises:
            ValueError: for what cannot be written in a line or two.
        """
        if isinstance(value, fb.Tensor):
            return self._tensor(value)
        if isinstance(value, fb.dtype):
            return f"fb.{value}".replace("flambeau.", "")
        if isinstance(value, (list, tuple)):
            inner = ", ".join(map(self.written, value))
            if isinstance(value, list):
                return f"[{inner}]"
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        if isinstance(value, float) and not math.isfinite(value):
            return f"float('{value}')"
        if value is None or isinstance(value, (bool, int, float, complex, str, slice)):
            return repr(value)
        raise ValueError(f"no short expression makes a {type(value).__name__}")

    def _tensor(self, value: fb.Tensor) -> str:
        if id(value) in self._expressions:
            return self._expressions[id(value)][1]
        if value.numel() > LARGEST_INPUT:
            raise ValueError("too many elements to be written out")
        if value.numel() == 0:
            dtype = "" if value.dtype is fb.float32 else f", dtype={self.written(value.dtype)}"
            return f"fb.zeros({tuple(value.shape)}{dtype})"
        natural = (fb.float32, fb.int64, fb.bool, fb.complex64)
        dtype = "" if value.dtype in natural else f", dtype={self.written(value.dtype)}"
        return f"fb.tensor({_rounded(value.detach().tolist())}{dtype})"


def _rounded(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_rounded, value)) + "]"
    if isinstance(value, complex):
        return repr(complex(round(value.real, 4), round(value.imag, 4)))
    if isinstance(value, float):
        return f"float('{value}')" if not math.isfinite(value) else repr(round(value, 4))
    return repr(value)


def run(statements: list[str]) -> str | None:
    """What the last statement prints; None if that is too long or nothing."""
    scope = dict(SETUP)
    for statement in statements[:-1]:
        exec(statement, scope)
    result = eval(statements[-1], scope)
    if sum(t.numel() for t in _tensors(result)) > LARGEST_RESULT:
        several = isinstance(result, (tuple, list))
        call = statements[-1]
        statements[-1] = f"[part.shape for part in {call}]" if several else f"{call}.shape"
        result = eval(statements[-1], scope)
    elif isinstance(result, fb.Tensor) and not result.numel() and statements[-1][-1] == ")":
        return None
    shown = io.StringIO()
    if result is not None:
        print(repr(result), file=shown)
    return shown.getvalue() or None


def _session(statements: list[str]) -> str:
    """The statements with prompts, long ones over several lines."""
    return "".join(f">>> {_wrapped(s)}\n" for s in statements)


def _wrapped(statement: str) -> str:
    """Tensors of a list, or rows of a nested list, under each other."""
    if len(statement) <= WIDTH:
        return statement
    opened = re.search(r"= [\[(]fb\.", statement)
    if opened is not None:
        return statement.replace("), fb.", f"),\n... {' ' * (opened.end() - 3)}fb.")
    depth = re.search(r"\[\[+", statement)
    if depth is None:
        return statement
    separator = "]" * (len(depth.group()) - 1) + ", "
    column = depth.end() - len(separator) + 2
    return statement.replace(separator, f"{separator[:-1]}\n... {' ' * column}")


def same_text(first: str, second: str) -> bool:
    """Whether texts are equal, numbers to a unit of the last digit that is printed."""
    if first == second:
        return True
    if NUMBER.sub("#", first).split() != NUMBER.sub("#", second).split():
        return False
    return all(map(_close, NUMBER.findall(first), NUMBER.findall(second)))


def _close(first: str, second: str) -> bool:
    if first == second:
        return True
    if "." not in first + second:
        return False
    a, b = (complex(text) for text in (first, second))
    digits = first.rstrip("j").partition("e")[0].partition(".")[2]
    scale = 10.0 ** int(first.rstrip("j").partition("e")[2] or 0)
    return abs(a - b) <= 1.5 * scale * 10.0 ** -len(digits)
