"""What a target language must say: types, operations, memory, statements, kernels.

A dialect turns parts of a kernel into text and decides nothing else.  Values are texts of
*register* types; memory holds *storage* types, the real component types of flambeau's dtypes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

Register: TypeAlias = Literal[
    "bool", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64"
]
"""What a value is computed in."""
Index: TypeAlias = Literal["i32", "i64"]
"""What elements are counted in."""
StorageType: TypeAlias = Literal[
    "bool", "i8", "u8", "i16", "i32", "u32", "i64", "u64", "f16", "bf16", "f32", "f64"
]
"""What memory holds: a bool takes a byte that is 0 or 1; f16 and bf16 are read as f32."""

SIZES: Final[dict[str, int]] = {
    "bool": 1, "i8": 1, "u8": 1, "i16": 2, "u16": 2, "i32": 4, "u32": 4, "i64": 8, "u64": 8,
    "f16": 2, "bf16": 2, "f32": 4, "f64": 8,
}
"""Bytes."""
FLOATS: Final = frozenset({"f32", "f64"})
STORAGE: Final[dict[str, StorageType]] = {
    "bool": "bool", "uint8": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64", "complex64": "f32",
    "complex128": "f64",
}
"""By the name of a dtype; a complex number is two of these."""


def register_of(storage: StorageType | Register) -> Register:
    """The type in which an element of memory is computed."""
    return "f32" if storage in ("f16", "bf16") else storage  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a kernel: a buffer, or a number."""

    name: str
    type: StorageType | Register
    is_buffer: bool
    is_written: bool = False


class Dialect(ABC):
    """One target language."""

    name: ClassVar[str]
    extension: ClassVar[str]
    """Of files that hold its sources."""
    flags: ClassVar[tuple[str, ...]] = ()
    """What a compiler must be told so that results are those of the formulas."""
    widths: ClassVar[tuple[int, ...]] = ()
    """How many elements :meth:`vector` handles, the greatest number first; none if the compiler
    finds vectors itself, or if work items are their lanes."""
    has_groups: ClassVar[bool] = True
    """Whether work items of a group share memory and wait for each other."""

    # ---- values ------------------------------------------------------------------------------
    @abstractmethod
    def type(self, register: Register) -> str:
        """The name of a type."""

    @abstractmethod
    def literal(self, value: bool | float, register: Register) -> str:
        """A constant; integers are given in the range of their type, floats may be inf and nan."""

    @abstractmethod
    def cast(self, text: str, source: Register, target: Register) -> str:
        """A conversion: integers wrap; floats to integers truncate, to bool test for not 0."""

    @abstractmethod
    def unary(self, operator: str, text: str, register: Register) -> str:
        """``-`` of numbers, ``~`` of integers, ``!`` of bools.  Integers wrap."""

    @abstractmethod
    def binary(self, operator: str, left: str, right: str, register: Register) -> str:
        """``+ - *`` of numbers (integers wrap), ``/`` of floats and of integers (towards 0, the
        divisor being neither 0 nor -1), ``%`` of integers likewise, ``& | ^`` of integers and
        bools, ``<<`` and ``>>`` (arithmetic) of integers by counts within the width."""

    @abstractmethod
    def compare(self, operator: str, left: str, right: str, register: Register) -> str:
        """A bool: ``< <= > >= == !=``; ordered, except that ``!=`` holds for nan."""

    @abstractmethod
    def select(self, condition: str, when_true: str, when_false: str, register: Register) -> str:
        """One of two values; both may be computed."""

    @abstractmethod
    def basic(self, function: str, arguments: Sequence[str], register: Register) -> str:
        """A call of what every target has, exact or correctly rounded: of floats ``fma sqrt floor
        ceil trunc round fmod abs`` (``round`` to even), ``as_bits`` (the integer of the same width
        with these bits) and ``to_integer`` (truncated, to that width); of integers ``from_bits``
        and ``to_floating`` (to the float of that width), ``min``, ``max``."""

    # ---- memory ------------------------------------------------------------------------------
    @abstractmethod
    def load(self, buffer: Parameter, index: str) -> str:
        """An element as a value of the storage type's register."""

    @abstractmethod
    def store(self, buffer: Parameter, index: str, value: str) -> list[str]:
        """Statements that write a value of the storage type's register."""

    @abstractmethod
    def atomic_add(self, buffer: Parameter, index: str, value: str) -> list[str]:
        """Statements that add to an element which other work items add to at the same time."""

    def vector(
        self, target: Parameter, at: str, source: Parameter, place: str, count: int, adds: bool
    ) -> list[str]:
        """Statements that copy neighbouring elements to a buffer of the same type, or add them;
        only where :attr:`widths` has the number."""
        raise NotImplementedError(f"{self.name}: no vectors")

    # ---- statements --------------------------------------------------------------------------
    @abstractmethod
    def declare(self, register: Register, name: str, value: str, is_mutable: bool) -> str:
        """A declaration with its first value."""

    @abstractmethod
    def array(self, register: Register, name: str, count: int) -> str:
        """A private array."""

    @abstractmethod
    def shared(self, register: Register, name: str, count: int) -> str:
        """An array that the work items of a group share; stands first in a kernel's body."""

    @abstractmethod
    def loop(self, register: Register, name: str, start: str, stop: str, step: str) -> str:
        """The head of a counting loop (``name`` from start, while below stop), up to its brace."""

    def while_(self, condition: str) -> str:
        """The head of a loop that runs as long as a condition holds."""
        return f"while ({condition}) {{"

    @abstractmethod
    def barrier(self) -> str:
        """Wait for the group; what it wrote to shared and global memory is then seen."""

    @abstractmethod
    def position(self, what: Literal["item", "local", "group", "groups"], index: Index) -> str:
        """This work item's number among all, its number in its group, its group's number, or how
        many groups there are."""

    # ---- texts -------------------------------------------------------------------------------
    @abstractmethod
    def function(
        self, name: str, parameters: Sequence[tuple[Register, str]], result: Register,
        body: Sequence[str],
    ) -> str:
        """The definition of a function of values; ``body`` ends with its return."""

    @abstractmethod
    def kernel(
        self, name: str, parameters: Sequence[Parameter], functions: Sequence[str],
        body: Sequence[str], group_size: int,
    ) -> str:
        """The whole source of a kernel."""
