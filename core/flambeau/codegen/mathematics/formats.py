"""The two floating formats, and pieces of text that most functions need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Precision: TypeAlias = Literal["f32", "f64"]


@dataclass(frozen=True, slots=True)
class Format:
    """An IEEE 754 binary format beside integers of the same width."""

    name: Precision
    width: int
    mantissa: int
    """Stored bits of the significand: the place of the exponent's lowest bit."""

    @property
    def bias(self) -> int:
        """Of the exponent field; the largest exponent as well."""
        return (1 << (self.width - self.mantissa - 2)) - 1

    @property
    def is_single(self) -> bool:
        """Whether this is f32."""
        return self.width == 32

    @property
    def sign_bit(self) -> str:
        """The integer with only the bit of the sign."""
        return hex(1 << (self.width - 1))

    def bits(self, value: float) -> int:
        """What ``as_bits`` gives for a constant."""
        import struct

        codes = ("<f", "<i") if self.is_single else ("<d", "<q")
        return int(struct.unpack(codes[1], struct.pack(codes[0], value))[0])


FORMATS: Final[dict[Precision, Format]] = {
    "f32": Format("f32", 32, 23),
    "f64": Format("f64", 64, 52),
}

Text: TypeAlias = Callable[[Format], str]
"""What writes a definition in a format."""

SHIFTER: Final = 6755399441055744.0
"""1.5 * 2**52: added to a float64 of less than 2**51 it leaves the nearest integer in the low bits
of the sum.  (float32 has ``round`` and ``to_integer`` for that: as fast, and vectorised.)"""
SHIFTER_BITS: Final = 0x4338000000000000


def horner(variable: str, coefficients: Sequence[float]) -> str:
    """A polynomial, coefficients from the constant one up, by fused multiply-adds."""
    text = repr(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        text = f"fma({text}, {variable}, {coefficient!r})"
    return text


def nearest_integer(fmt: Format, factor: str, x: str, name: str) -> str:
    """Bind ``name`` to the integer nearest to ``factor * x``, and ``name_f`` to it as a float."""
    if fmt.is_single:
        return f"{name}_f = round({x} * {factor}); {name} = to_integer({name}_f);"
    return (
        f"{name}_s = fma({x}, {factor}, {SHIFTER!r}); {name}_f = {name}_s - {SHIFTER!r};"
        f"{name} = as_bits({name}_s) - {SHIFTER_BITS};"
    )


def floating(fmt: Format, integer: str) -> str:
    """A small integer as a float; the detour by bits of float64 is what vector units can do."""
    if fmt.is_single:
        return f"to_floating({integer})"
    return f"(from_bits(({integer}) + {SHIFTER_BITS}) - {SHIFTER!r})"


def power_of_two(fmt: Format, exponent: str) -> str:
    """2 to an integer within the range of normal numbers."""
    return f"from_bits(({exponent}) + {fmt.bias} << {fmt.mantissa})"


def with_sign_of(fmt: Format, magnitude: str, x: str) -> str:
    """A value that is not negative, with the sign of ``x``."""
    return f"from_bits(as_bits({magnitude}) | as_bits({x}) & {fmt.sign_bit})"
