"""Switches of the process that PyTorch's programs set: most ask for what is always so here."""

from __future__ import annotations

import warnings
from typing import Any


class _State:
    deterministic = 0
    matmul_precision = "highest"
    interop_threads = 1
    warns_always = False


_MODES = ("default", "warn", "error")
_PRECISIONS = ("highest", "high", "medium")


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for equal results of equal calls.

    The first-party backends always give them (``Capabilities.deterministic``); the setting is kept
    for programs that read it.
    """
    _State.deterministic = (1 if warn_only else 2) if mode else 0


def are_deterministic_algorithms_enabled() -> bool:
    """Whether equal results of equal calls were asked for."""
    return _State.deterministic > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether only a warning was asked for where they cannot be had."""
    return _State.deterministic == 1


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """``use_deterministic_algorithms`` by a number or a word: default, warn, error.

    Raises:
        TypeError: for neither.
        RuntimeError: for another number or word.
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _MODES:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
                f"{debug_mode}")
        debug_mode = _MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    _State.deterministic = debug_mode


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: default, warn, error."""
    return _State.deterministic


def set_float32_matmul_precision(precision: str) -> None:
    """Allow products of float32 to be less exact; kept, and no backend makes use of it.

    A word that PyTorch does not know changes nothing and warns.
    """
    if precision not in _PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current "
            "setFloat32MatmulPrecision call has no effect.", UserWarning, stacklevel=2)
        return
    _State.matmul_precision = precision


def get_float32_matmul_precision() -> str:
    """How exact products of float32 must be: "highest", "high" or "medium"."""
    return _State.matmul_precision


def set_num_interop_threads(count: int) -> None:
    """Set how many ops may run at once; kept, ops run one after the other.

    Raises:
        RuntimeError: for a count below 1.
    """
    if count < 1:
        raise RuntimeError("expected positive number of threads")
    _State.interop_threads = count


def get_num_interop_threads() -> int:
    """How many ops may run at once."""
    return _State.interop_threads


def set_flush_denormal(mode: bool) -> bool:
    """Whether tiny numbers can be made zero: no, so False."""
    return False


def set_warn_always(always: bool) -> None:
    """Ask for warnings each time in place of once; kept for programs that read it."""
    _State.warns_always = bool(always)


def is_warn_always_enabled() -> bool:
    """Whether warnings each time were asked for."""
    return _State.warns_always


def compiled_with_cxx11_abi() -> bool:
    """Whether C++ extensions must use the ABI of C++ 11: the only one that compilers still have."""
    return True


def get_device_module(device: Any = None) -> Any:
    """The submodule of a device type, ``flambeau.cpu`` for example.

    Raises:
        RuntimeError: if there is none.
    """
    import importlib.util

    from flambeau.device import device as Device
    from flambeau.device import get_default_device

    kind = (get_default_device() if device is None else Device(device)).type
    name = f"flambeau.{kind}"
    module = importlib.import_module(name) if importlib.util.find_spec(name) else None
    if not hasattr(module, "is_available"):
        raise RuntimeError(
            f"Invalid device module '{kind}': flambeau has no submodule for devices of that type")
    return module
