"""The reduction of large angles with as many bits of 2 / pi as they need, in integers.

M. Payne and R. Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18, 1983:
x = m 2**e with an integer m, and of the product x * 2 / pi only what lies below 4 matters.  So
2 / pi is read from the bit on that has the weight 2 / 2**e, three words of it: m times the first
word, wrapping, is the product modulo 4, and m times the rest is added to it digit by digit.
"""

from __future__ import annotations

from typing import Final

from flambeau.codegen.mathematics.formats import Format

LIMIT_F32: Final = 2.0**12
LIMIT_F64: Final = 2.0**25
"""Smaller angles are reduced otherwise."""

_TWO_OVER_PI: Final = int(
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006492eea09d1921c"
    "fe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c845f8bbdf9283b1ff897ffde05980f"
    "ef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d08"
    "56033046fc7b6babf0cfbc209af4361d", 16
)  # fmt: skip
"""2 / pi in 1280 bits."""
_BITS: Final = 1280
HALF_PI: Final = {
    "f32": ("1.5707964", "-4.371139e-08"),
    "f64": ("1.5707963267948966", "6.123233995736766e-17"),
}


def reduced(fmt: Format) -> str:
    """Bind ``q``, of which the two lowest bits count, and ``r``: |x| = q pi / 2 + r + r_l.

    For 2**12 <= |x| < inf in f32 and 2**25 <= |x| < inf in f64.
    """
    return _operands(fmt) + _words(fmt) + _product(fmt) + _angle(fmt)


def _limit_exponent(fmt: Format) -> int:
    return int(LIMIT_F32 if fmt.is_single else LIMIT_F64).bit_length() - 1


def _last_index(fmt: Format) -> int:
    """The greatest number of whole words that an angle skips."""
    return (fmt.bias - _limit_exponent(fmt)) // fmt.width


def _operands(fmt: Format) -> str:
    """Bind ``m``, and how many words and bits of the table are skipped."""
    ones = (1 << fmt.mantissa) - 1
    log_width = fmt.width.bit_length() - 1
    return (
        f"b = as_bits(x); m = b & {ones} | {ones + 1};"
        f"offset = (b >> {fmt.mantissa} & {2 * fmt.bias + 1}) - {fmt.bias + _limit_exponent(fmt)};"
        f"index = offset >> {log_width}; shift = offset & {fmt.width - 1};"
    )


def _table(fmt: Format) -> list[int]:
    """The words of 2 / pi from the bit on that has the weight 2 when multiplied by the limit's m.

    m 2**e times the bit of weight 2**-j is below 4 from j = e - 1 on, and at the limit e is
    negative: zeros stand in front.
    """
    count = _last_index(fmt) + 4
    total = count * fmt.width
    zeros = 2 - (_limit_exponent(fmt) - fmt.mantissa)
    value = _TWO_OVER_PI >> (_BITS - (total - zeros))
    mask = (1 << fmt.width) - 1
    return [value >> (total - (i + 1) * fmt.width) & mask for i in range(count)]


def _words(fmt: Format) -> str:
    """Bind ``w_0``, ``w_1`` and ``w_2``: the table is halved per bit of ``index``."""
    names = [str(word) for word in _table(fmt)]
    text = ""
    level = 1 << _last_index(fmt).bit_length()
    while level > 1:
        level >>= 1
        text += f"is_{level} = (index & {level}) != 0;"
        chosen = [f"t_{level}_{i}" for i in range(level + 3)]
        for i, name in enumerate(chosen):
            text += f"{name} = is_{level} ? {names[i + level]} : {names[i]};"
        names = chosen
    ones, last = (1 << (fmt.width - 1)) - 1, fmt.width - 1
    for i in range(3):
        below = f"({names[i + 1]} >> 1 & {ones}) >> {last} - shift"
        text += f"w_{i} = {names[i]} << shift | {below};"
    return text


def _product(fmt: Format) -> str:
    """Bind ``high``, the product in units of 2**(2 - width), and ``low``, a float below 1 of them.

    The digits of the second and third word have so many bits that their product with m, and a
    carry, fit a word.
    """
    bits = fmt.width - fmt.mantissa - 1
    unseen = -(-(fmt.mantissa + 1) // bits)  # digits that only carry
    used = 4 if fmt.is_single else 5
    count = used + unseen
    ones = (1 << bits) - 1
    upper = hex((1 << (fmt.width - bits)) - 1)
    text, carry = "", ""
    for i in reversed(range(count)):
        digit = _digit(fmt, i * bits, bits)
        text += f"p_{i} = m * ({digit}){carry};"
        carry = f" + (p_{i} >> {bits} & {upper})"
    text += f"high = m * w_0{carry};"
    low = "0.0"
    for i in reversed(range(used)):
        low = f"({low} + to_floating(p_{i} & {ones})) * {2.0**-bits!r}"
        text += f"low_{i} = {low};"
        low = f"low_{i}"
    return text + f"low = {low};"


def _digit(fmt: Format, start: int, bits: int) -> str:
    """Bits of the second and third word, counted from the highest."""
    ones = (1 << bits) - 1
    word, first = divmod(start, fmt.width)
    rest = fmt.width - first - bits
    if rest >= 0:
        return f"w_{1 + word} >> {rest} & {ones}"
    kept = (1 << -rest) - 1
    return f"w_{1 + word} << {-rest} & {ones} | w_{2 + word} >> {fmt.width + rest} & {kept}"


def _angle(fmt: Format) -> str:
    """From units of 2**(2 - width) quarters to radians."""
    top = fmt.width - 2
    first, second = HALF_PI[fmt.name]
    return (
        f"q = high + {1 << (top - 1)} >> {top}; part = high - (q << {top});"
        "part_f = to_floating(part);"
        "rest = to_floating(part - to_integer(part_f)) + low;"
        "y = part_f + rest; y_l = (part_f - y) + rest;"
        f"angle_l = fma(y, {second}, y_l * {first});"
        f"angle = fma(y, {first}, angle_l); r = angle * {2.0**-top!r};"
        f"r_l = (fma(y, {first}, -angle) + angle_l) * {2.0**-top!r};"
    )
