"""Tensors as text, laid out as PyTorch lays them out.

Only the elements that are shown are taken from the device and formatted.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flambeau import dtypes

if TYPE_CHECKING:
    from flambeau.tensor import Tensor

Array = np.ndarray[Any, Any]


# ---- options -----------------------------------------------------------------------------------
@dataclasses.dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES: Final[dict[str, dict[str, Any]]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_options: Final = _Options()


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is None stays, but ``sci_mode`` is always set.

    Args:
        precision: digits after the decimal point.
        threshold: tensors of more elements than this are summarised.
        edgeitems: elements shown at both ends of a summarised dimension.
        linewidth: characters per line.
        profile: "default", "short" or "full", taken before the other arguments.
        sci_mode: scientific notation always (True), never (False), or by the values (None).

    Raises:
        ValueError: for an unknown profile.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"profile must be one of {', '.join(_PROFILES)}, got {profile!r}")
        for name, value in _PROFILES[profile].items():
            setattr(_options, name, value)
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems,
             "linewidth": linewidth}
    for name, value in given.items():
        if value is not None:
            setattr(_options, name, value)
    _options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options in force, as keywords for :func:`set_printoptions`."""
    return dataclasses.asdict(_options)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """Options that hold within a ``with`` block."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


# ---- numbers -----------------------------------------------------------------------------------
class _Format:
    """How the numbers of one tensor are written: all in one notation, padded to one width."""

    def __init__(self, values: Array) -> None:
        self.width = 1
        self.template = "{}"
        self.is_whole = False
        if values.dtype.kind == "f":
            self._choose(values[np.isfinite(values) & (values != 0)])
        else:
            self.width = max((len(str(v)) for v in values.tolist()), default=1)

    def _choose(self, numbers: Array) -> None:
        """Pick the notation by the nonzero finite numbers."""
        whole = self.is_whole = not bool((numbers != np.ceil(numbers)).any())
        self.template = "{:.0f}"
        if not numbers.size:
            return
        sizes = np.abs(numbers)
        low, high = float(sizes.min()), float(sizes.max())
        scientific = _options.sci_mode
        if scientific is None:
            scientific = high / low > 1e3 or high > 1e8 or low < 1e-4
        if scientific or not whole:
            self.template = f"{{:.{_options.precision}{'e' if scientific else 'f'}}}"
            self.is_whole = False
        # A whole number is followed by its decimal point.
        self.width = max(map(len, map(self.template.format, numbers.tolist()))) + self.is_whole

    def __call__(self, value: Any) -> str:
        text = self.template.format(value)
        if self.is_whole and math.isfinite(value):
            text += "."
        return text.rjust(self.width)


class _ComplexFormat:
    """Real and imaginary parts, each in a format of its own."""

    def __init__(self, values: Array) -> None:
        self.real, self.imag = _Format(values.real), _Format(values.imag)
        self.width = self.real.width + self.imag.width + 1

    def __call__(self, value: complex) -> str:
        imag = self.imag(value.imag).lstrip() + "j"
        return self.real(value.real) + ("" if imag[0] in "+-" else "+") + imag


# ---- contents ----------------------------------------------------------------------------------
def _shown(t: Tensor) -> tuple[Array, list[bool]]:
    """The elements that are shown, and which dimensions leave out their middle."""
    edge = _options.edgeitems
    cut = [t.numel() > _options.threshold and n > 2 * edge for n in t.shape]
    from flambeau.interop import host_array

    if t.device.type != "cpu" and any(cut):
        from flambeau.autograd.grad_mode import no_grad
        from flambeau.ops.join import cat

        with no_grad():
            for d, is_cut in enumerate(cut):
                if is_cut:
                    n = t.shape[d]
                    t = cat([t.narrow(d, 0, edge), t.narrow(d, n - edge, edge)], d)
        return host_array(t), cut
    array = host_array(t)
    for d, is_cut in enumerate(cut):
        if is_cut:
            ends = np.split(array, [edge, array.shape[d] - edge], axis=d)
            array = np.concatenate([ends[0], ends[2]], axis=d)
    return array, cut


def _contents(t: Tensor, indent: int) -> str:
    """The elements in brackets."""
    if not t.numel():
        return "[]"
    if t.numel() > _options.threshold and not _options.edgeitems and t.ndim:
        return "[...]"
    array, cut = _shown(t)
    if t.dtype.is_floating_point:
        array = array.astype(np.float64)
    elif t.dtype is dtypes.complex32:
        array = array.astype(np.complex64)
    flat = array.reshape(-1)
    write = (_ComplexFormat if t.dtype.is_complex else _Format)(flat)
    return _nested(array.tolist(), indent, cut, write)


def _nested(items: Any, indent: int, cut: list[bool], write: Any) -> str:
    """A nested list as text whose first bracket stands at column ``indent``."""
    if not cut:
        return str(write(items))
    if len(cut) == 1:
        return _row([write(v) for v in items], indent, cut[0], write.width)
    parts = [_nested(item, indent + 1, cut[1:], write) for item in items]
    if cut[0]:
        parts.insert(len(parts) // 2, "...")
    between = "," + "\n" * (len(cut) - 1) + " " * (indent + 1)
    return "[" + between.join(parts) + "]"


def _row(texts: list[str], indent: int, is_cut: bool, width: int) -> str:
    """The innermost dimension, broken into lines."""
    if is_cut:
        texts.insert(len(texts) // 2, " ...")
    per_line = max(1, (_options.linewidth - indent) // (width + 2))
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


# ---- the whole ---------------------------------------------------------------------------------
def tensor_text(t: Tensor, contents: str | None = None) -> str:
    """A tensor as PyTorch prints it.

    Args:
        contents: text to stand in place of the elements.
    """
    prefix = _prefix(t)
    if contents is None:
        contents = "..." if t.device.type == "meta" else _contents(t, len(prefix))
    return _joined(prefix + contents, _facts(t), len(prefix))


def _facts(t: Tensor) -> list[str]:
    """What the elements alone do not tell: device, shape, dtype, history."""
    facts: list[str] = []
    default = dtypes.get_default_dtype()
    is_meta = t.device.type == "meta"
    if t.device.type != "cpu":
        facts.append(f"device='{t.device}'")
    if is_meta or (t.ndim != 1 if not t.numel() else not _options.edgeitems):
        facts.append(f"size={tuple(t.shape)}")
    # Elements that are seen tell what a number of their kind becomes by default.
    told = () if is_meta or not t.numel() else (default.to_complex(), dtypes.int64, dtypes.bool)
    if t.dtype not in (default, *told):
        facts.append(f"dtype={t.dtype!r}")
    if t.grad_fn is not None:
        facts.append(f"grad_fn=<{type(t.grad_fn).__name__}>")
    elif t.requires_grad:
        facts.append("requires_grad=True")
    return facts


def _prefix(t: Tensor) -> str:
    from flambeau.tensor import Tensor

    # A parameter cannot exist before its module is loaded: no need to load it here.
    parameters = sys.modules.get("flambeau.nn.parameter")
    plain = (Tensor, getattr(parameters, "Parameter", Tensor))
    return "tensor(" if type(t) in plain else f"{type(t).__name__}("


def _joined(text: str, facts: list[str], indent: int) -> str:
    """The facts after the contents, on new lines where they do not fit."""
    length = len(text) - text.rfind("\n") + 1
    for fact in facts:
        if length + len(fact) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + fact
            length = indent + len(fact)
        else:
            text += ", " + fact
            length += len(fact) + 2
    return text + ")"
