"""Functions of complex numbers over their parts: ``re`` and ``im``, and ``re2`` and ``im2``.

The texts hold for both precisions: they scale by quotients of the parts, never by constants.  Signs
of zeros choose the side of a branch cut, as in C's Annex G.  The arrangement of the inverse
functions is that of W. Kahan, "Branch cuts for complex elementary functions", 1987.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

Parts: TypeAlias = tuple[str, str]

_LN2: Final = "0.6931471805599453"
_LOG2_E: Final = "1.4426950408889634"


def signed(magnitude: str, like: str) -> str:
    """A value that is not negative with the sign of another."""
    return f"(as_bits({like}) < 0 ? -{magnitude} : {magnitude})"


def _sorted(name: str, re: str, im: str) -> str:
    """Bind the larger magnitude, the ratio of the smaller to it, and h = |z| / larger."""
    x, y, large, small, h = (f"{name}_{part}" for part in ("x", "y", "large", "small", "h"))
    ratio = f"{name}_ratio"
    return (
        f"{x} = abs({re}); {y} = abs({im});"
        f"{large} = {x} > {y} ? {x} : {y}; {small} = {x} > {y} ? {y} : {x};"
        f"{ratio} = {large} > 0.0 && {large} < inf ? {small} / {large} : {small} * 0.0;"
        f"{h} = sqrt(fma({ratio}, {ratio}, 1.0));"
    )


def _magnitude(name: str, re: str, im: str) -> str:
    """Bind ``name`` = |z|: infinite if a part is, even beside a nan."""
    return (
        _sorted(name, re, im)
        + f"{name} = {name}_x == inf || {name}_y == inf ? inf : {name}_large * {name}_h;"
    )


def _sqrt(name: str, re: str, im: str) -> str:
    """Bind ``name_re`` and ``name_im``, the square root in the right half plane.

    Its larger part is sqrt((|re| + |z|) / 2), the smaller one follows from im = 2 re im.
    """
    return (
        _sorted(name, re, im) + f"{name}_part = {name}_x > {name}_y ? 1.0 : {name}_ratio;"
        f"{name}_t = sqrt({name}_large) * sqrt(0.5 * ({name}_part + {name}_h));"
        f"{name}_s = {name}_t > 0.0 ? 0.5 * {name}_y / {name}_t : 0.0;"
        f"{name}_up = {name}_y == inf; {name}_far = {name}_x == inf && {name}_y < inf;"
        f"{name}_right = {name}_up ? inf : {name}_far ? ({re} > 0.0 ? inf : 0.0)"
        f" : as_bits({re}) < 0 ? {name}_s : {name}_t;"
        f"{name}_height = {name}_up ? inf : {name}_far ? ({re} > 0.0 ? 0.0 : inf)"
        f" : as_bits({re}) < 0 ? {name}_t : {name}_s;"
        f"{name}_re = {name}_right; {name}_im = {signed(f'{name}_height', im)};"
    )


def _log_magnitude(name: str, re: str, im: str) -> str:
    """Bind ``name`` = log(|z|); near 1 from |z|**2 - 1, which does not cancel there."""
    return (
        _sorted(name, re, im) + f"{name}_rest = {name}_small * {name}_small;"
        f"{name}_square = fma({name}_large - 1.0, {name}_large + 1.0, {name}_rest);"
        f"{name}_is_near = {name}_large < 2.0 && {name}_large > 0.5;"
        f"{name}_far = log({name}_large) + 0.5 * log1p({name}_ratio * {name}_ratio);"
        f"{name} = {name}_x == inf || {name}_y == inf ? inf"
        f" : {name}_is_near ? 0.5 * log1p({name}_square) : {name}_far;"
    )


def _polar(radius: str, angle: str, is_real: str) -> Parts:
    """exp(radius) (cos(angle), sin(angle)): in two steps where exp alone overflows."""
    start = (
        f"l = {radius}; phi = {angle}; e = exp(l); half = exp(0.5 * l); is_real = {is_real};"
        "is_lost = l == -inf && !(abs(phi) < inf);"
    )
    end = "is_lost ? 0.0 : e < inf ? e * part : half * (half * part)"
    return (
        f"{start} part = cos(phi); {end}",
        f"{start} part = sin(phi); is_real ? phi : {end}",
    )


def _exp() -> Parts:
    return _polar("re", "im", "im == 0.0")


def _exp2() -> Parts:
    return _polar(f"re * {_LN2}", f"im * {_LN2}", "im == 0.0")


def _expm1() -> Parts:
    half = "half = sin(0.5 * im);"
    return (
        f"{half} m = expm1(re); m == inf && im == 0.0 ? inf : m * cos(im) - 2.0 * half * half",
        "im == 0.0 ? im : exp(re) * sin(im)",
    )


def _log() -> Parts:
    return _log_magnitude("value", "re", "im") + "value", "atan2(im, re)"


def _log2() -> Parts:
    return _log_magnitude("value", "re", "im") + f"value * {_LOG2_E}", f"atan2(im, re) * {_LOG2_E}"


def _log1p() -> Parts:
    near = "0.5 * log1p(fma(re, 2.0 + re, im * im))"
    return (
        "u = 1.0 + re;" + _log_magnitude("far", "u", "im")
        + f"abs(re) < 0.5 && abs(im) < 0.5 ? {near} : far",
        "atan2(im, 1.0 + re)",
    )  # fmt: skip


def _square_root() -> Parts:
    return _sqrt("root", "re", "im") + "root_re", _sqrt("root", "re", "im") + "root_im"


def _rsqrt() -> Parts:
    """The conjugate of the root, divided by |z|."""
    root = _sqrt("root", "re", "im")
    by = "is_end = root_x == inf || root_y == inf; is_zero = root_large == 0.0;"
    return (
        f"{root} {by} is_zero ? inf : is_end ? 0.0 : root_re / root_large / root_h",
        f"{root} {by} is_zero || is_end ? {signed('0.0', '-im')} : -root_im / root_large / root_h",
    )


def _sin() -> Parts:
    return (
        "re == 0.0 ? re : sin(re) * cosh(im)",
        "im == 0.0 ? im * cos(re) : cos(re) * sinh(im)",
    )


def _cos() -> Parts:
    return (
        "cos(re) * cosh(im)",
        "re == 0.0 || im == 0.0 ? -re * im : -sin(re) * sinh(im)",
    )


def _sinh() -> Parts:
    return (
        "re == 0.0 ? re * cos(im) : cos(im) * sinh(re)",
        "im == 0.0 ? im : sin(im) * cosh(re)",
    )


def _cosh() -> Parts:
    return (
        "cos(im) * cosh(re)",
        "re == 0.0 || im == 0.0 ? re * im : sin(im) * sinh(re)",
    )


def _tanh_of(angle: str, height: str) -> tuple[str, str, str]:
    """Of height + i angle: what both parts share, then each over cos**2 + tanh**2 sin**2."""
    shared = (
        f"c = cos({angle}); s = sin({angle}); u = tanh({height}); q = 1.0 / cosh({height});"
        "under = fma(c, c, u * s * (u * s));"
    )
    return (
        shared,
        "u / under",
        f"{angle} == 0.0 ? {angle} * q * q / under : s * c * q * q / under",
    )


def _tanh() -> Parts:
    shared, along, across = _tanh_of("im", "re")
    return shared + along, shared + across


def _tan() -> Parts:
    shared, along, across = _tanh_of("re", "im")
    return shared + across, shared + along


def _roots(re: str, im: str) -> str:
    """Bind s and t, the square roots of 1 - z and of 1 + z."""
    return (
        f"x = {re}; y = {im}; below = 1.0 - x; above = 1.0 + x; minus_y = -y;"
        + _sqrt("s", "below", "minus_y")
        + _sqrt("t", "above", "y")
    )


def _asin_of(re: str, im: str) -> Parts:
    roots = _roots(re, im)
    return (
        roots + "atan2(x, s_re * t_re - s_im * t_im)",
        roots + "asinh(s_re * t_im - s_im * t_re)",
    )


def _asin() -> Parts:
    return _asin_of("re", "im")


def _asinh() -> Parts:
    """asinh(z) = -i asin(i z)."""
    along, across = _asin_of("-im", "re")
    return across, along.replace("atan2(x,", "-atan2(x,")


def _acos() -> Parts:
    roots = _roots("re", "im")
    return roots + "2.0 * atan2(s_re, t_re)", roots + "asinh(t_re * s_im - t_im * s_re)"


def _acosh() -> Parts:
    roots = (
        "below = re - 1.0; above = re + 1.0;"
        + _sqrt("s", "below", "im")
        + _sqrt("t", "above", "im")
    )
    return roots + "asinh(s_re * t_re + s_im * t_im)", roots + "2.0 * atan2(s_im, t_re)"


def _atanh_of(re: str, im: str, sign: str) -> Parts:
    """log1p(4 x / ((1 - x)**2 + y**2)) / 4, and half an angle; far out 1 / z and pi / 2."""
    start = f"x = abs({re}); y = {im}; d = 1.0 - x;" + _sorted("z", "x", "y")
    far = "z_large > 1e10"
    return (
        f"{start} value = {far} ? (z_large < inf ? x / z_large / z_h / z_h / z_large : 0.0)"
        f" : 0.25 * log1p(4.0 * x / fma(d, d, y * y)); {sign}{signed('value', re)}",
        f"{start} {far} ? {signed(str(1.5707963267948966), 'y')}"
        " : 0.5 * atan2(2.0 * y, fma(d, 1.0 + x, -(y * y)))",
    )


def _atanh() -> Parts:
    return _atanh_of("re", "im", "")


def _atan() -> Parts:
    """atan(z) = -i atanh(i z)."""
    along, across = _atanh_of("-im", "re", "-")
    return across, along


def _abs() -> Parts:
    return _magnitude("value", "re", "im") + "value", "0.0"


def _pow() -> Parts:
    """exp of the exponent times the logarithm; 0 to a power is 0 or, for the exponent 0, 1."""
    start = (
        _log_magnitude("l_1", "re", "im")
        + "turn = atan2(im, re); is_zero = re == 0.0 && im == 0.0;"
        "is_one = re2 == 0.0 && im2 == 0.0;"
        "to_zero = is_zero && re2 > 0.0;"
    )
    along, across = _polar("re2 * l_1 - im2 * turn", "im2 * l_1 + re2 * turn", "phi == 0.0")
    head, _, tail = along.rpartition(";")
    real = f"{start}{head}; is_one ? 1.0 : to_zero ? 0.0 : {tail}"
    head, _, tail = across.rpartition(";")
    return real, f"{start}{head}; is_one || to_zero ? 0.0 : {tail}"


def _divide() -> Parts:
    """R. L. Smith, "Algorithm 116: Complex division", Communications of the ACM 5, 1962."""
    start = (
        "is_wide = abs(re2) >= abs(im2); is_zero = re2 == 0.0 && im2 == 0.0;"
        "large = is_wide ? re2 : im2; small = is_wide ? im2 : re2;"
        "ratio = is_zero ? 0.0 : small / large;"
        "under = is_zero ? 0.0 : fma(small, ratio, large);"
    )
    return (
        start + "(is_wide ? fma(im, ratio, re) : fma(re, ratio, im)) / under",
        start + "(is_wide ? fma(-re, ratio, im) : fma(im, ratio, -re)) / under",
    )


TEXTS: Final[dict[str, Callable[[], Parts]]] = {
    "abs": _abs,
    "acos": _acos,
    "acosh": _acosh,
    "asin": _asin,
    "asinh": _asinh,
    "atan": _atan,
    "atanh": _atanh,
    "cos": _cos,
    "cosh": _cosh,
    "divide": _divide,
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "log2": _log2,
    "pow": _pow,
    "rsqrt": _rsqrt,
    "sin": _sin,
    "sinh": _sinh,
    "sqrt": _square_root,
    "tan": _tan,
    "tanh": _tanh,
}
