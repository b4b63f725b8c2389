"""``autocast``: each op gets its inputs in the precision that suits it."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any, Final

from flambeau import dispatch, dtypes
from flambeau.amp import lists
from flambeau.dtypes import dtype as DType
from flambeau.modes import DispatchMode
from flambeau.registry import Op
from flambeau.tensor import Tensor

_DEFAULTS: Final = {"cpu": dtypes.bfloat16}


class _State(threading.local):
    """The autocast contexts that are on, innermost last, and casts of parameters."""

    def __init__(self) -> None:
        self.stack: list[autocast] = []
        self.casts: dict[tuple[int, DType], tuple[Tensor, Tensor]] = {}


_state: Final = _State()


def is_autocast_available(device_type: str) -> bool:
    """Whether ops of a device can be cast: wherever 16-bit floats are held.

    Raises:
        RuntimeError: for a device that is not installed.
    """
    from flambeau.plugins import backend_for

    held = backend_for(device_type).capabilities(0).dtypes
    return dtypes.bfloat16 in held or dtypes.float16 in held


def get_autocast_dtype(device_type: str) -> DType:
    """What ops are cast to on a device if nothing else is said."""
    return _DEFAULTS.get(device_type, dtypes.float16)


def set_autocast_dtype(device_type: str, dtype: DType) -> None:
    """Choose what ops are cast to on a device if nothing else is said."""
    _DEFAULTS[device_type] = dtype


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether calls on a device (any, if None) are being cast in this thread."""
    for context in reversed(_state.stack):
        if device_type in (None, context.device):
            return context._enabled
    return False


class autocast(DispatchMode):
    """Runs matrix products and convolutions in 16 bits and losses in float32.

    A context manager, and a decorator.

    Args:
        device_type: of the calls that are cast, such as "cpu".
        dtype: bfloat16 or float16; by default the device's (bfloat16 on the CPU).
        enabled: False turns an outer context off.
        cache_enabled: keep 16-bit copies of parameters until the outermost context ends.

    Raises:
        TypeError: if the device type is no string.
        RuntimeError: for a device that has no 16-bit floats.

    Warns:
        UserWarning: for a device that is not installed: nothing is cast, as in PyTorch.
    """

    def __init__(
        self, device_type: str, dtype: DType | None = None, enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise TypeError(
                f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        try:
            is_available = is_autocast_available(device_type)
        except RuntimeError as error:
            if enabled:
                warnings.warn(f"autocast is disabled: {error}", UserWarning, stacklevel=2)
            enabled, is_available = False, True
        if not is_available:
            raise RuntimeError(f"User specified an unsupported autocast device_type "
                               f"'{device_type}'")
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        if enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            warnings.warn(
                f"In {device_type} autocast, but the target dtype is not supported. Disabling "
                "autocast; supported are bfloat16 and float16.", UserWarning, stacklevel=2)
            enabled = False
        self._enabled, self._caches = enabled, cache_enabled is not False
        on_cpu = device_type == "cpu"
        self._single = lists.SINGLE_ON_CPU if on_cpu else lists.SINGLE_ELSEWHERE
        self._widest = lists.WIDEST if on_cpu else lists.WIDEST_ELSEWHERE
        self._refused = {} if on_cpu else lists.REFUSED_ELSEWHERE

    def __enter__(self) -> autocast:
        _state.stack.append(self)
        super().__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        _state.stack.pop()
        if not _state.stack:
            _state.casts.clear()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, run in this context."""

        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return within

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """A call with its tensors cast, if this is the innermost context of their device."""
        if not self._is_innermost():
            return NotImplemented
        name = op.name
        if not self._enabled:
            return NotImplemented
        if name in lists.LOWER:
            target = self.fast_dtype
        elif name in self._single:
            target = dtypes.float32
        elif name in self._widest:
            target = self._widest_of(args)
        elif name in self._refused and self._concerns(args):
            raise RuntimeError(self._refused[name])
        else:
            return NotImplemented
        cast = tuple(self._cast(value, target) for value in args)
        if all(a is b for a, b in zip(args, cast, strict=True)):
            return NotImplemented
        return dispatch.call(op, cast)

    def _is_innermost(self) -> bool:
        for context in reversed(_state.stack):
            if context.device == self.device:
                return context is self
        return False

    def _concerns(self, args: tuple[Any, ...]) -> bool:
        return any(isinstance(a, Tensor) and a.device.type == self.device for a in args)

    def _widest_of(self, args: tuple[Any, ...]) -> DType:
        found = [t.dtype for value in args for t in _tensors(value) if self._casts(t)]
        return dtypes.float32 if dtypes.float32 in found or not found else (
            found[0] if all(d is found[0] for d in found) else dtypes.float32)

    def _casts(self, t: Tensor) -> bool:
        what = t.dtype
        return t.device.type == self.device and what.category == 2 and what.itemsize < 8

    def _cast(self, value: Any, target: DType) -> Any:
        if isinstance(value, Tensor):
            return self._one(value, target) if self._casts(value) else value
        if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value):
            cast = [self._cast(v, target) for v in value]
            same = all(a is b for a, b in zip(value, cast, strict=True))
            return value if same else type(value)(cast)
        return value

    def _one(self, t: Tensor, target: DType) -> Tensor:
        if t.dtype is target:
            return t
        keeps = self._caches and t.requires_grad and t.is_leaf and target.itemsize == 2
        if not keeps:
            return t.to(target)
        held = _state.casts.get((id(t), target))
        if held is None or held[0] is not t:
            held = _state.casts[id(t), target] = (t, t.to(target))
        return held[1]


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [v for v in value if isinstance(v, Tensor)]
    return []


# ---- custom functions --------------------------------------------------------------------------
def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str,
    cast_inputs: DType | None = None,
) -> Any:
    """Decorator for ``forward`` of an ``autograd.Function``.

    Args:
        fwd: the function.
        device_type: whose autocast it concerns.
        cast_inputs: cast floating inputs to this and run without autocast; None changes nothing.
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        context._dtype = get_autocast_dtype(device_type)
        context._fwd_used_autocast = is_autocast_enabled(device_type)
        if cast_inputs is None or not context._fwd_used_autocast:
            return fwd(*args, **kwargs)
        context._fwd_used_autocast = False
        with autocast(device_type, enabled=False):
            return fwd(*(_to(a, cast_inputs, device_type) for a in args),
                       **{k: _to(v, cast_inputs, device_type) for k, v in kwargs.items()})

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorator for ``backward``: it runs under the autocast that ``forward`` ran under."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        with autocast(device_type, enabled=context._fwd_used_autocast, dtype=context._dtype):
            return bwd(*args, **kwargs)

    return backward


def _to(value: Any, target: DType, device_type: str) -> Any:
    is_cast = isinstance(value, Tensor) and value.device.type == device_type and (
        value.dtype.category == 2 and value.dtype is not dtypes.float64)
    return value.to(target) if is_cast else value
