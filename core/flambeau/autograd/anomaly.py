"""Anomaly mode: a backward that fails, or gives NaN, names the line of the forward."""

from __future__ import annotations

import traceback
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flambeau.autograd.node import Watch
from flambeau.modes import DispatchMode
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.registry import Op

_lines: Final[weakref.WeakKeyDictionary[Any, str]] = weakref.WeakKeyDictionary()
"""By node: where in the program it was made."""


class _Mode:
    """Whether the backward looks for anomalies, and for NaN."""

    enabled = False
    checks_nan = True


class _Recorder(DispatchMode):
    """While it is on, calls take the long way, on which every node is noted."""

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Let every call go on."""
        return NotImplemented

    def __enter__(self) -> Any:
        Watch.note = _note
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        Watch.note = _note if _Mode.enabled else None


def _note(node: Any) -> None:
    frames = [f for f in traceback.extract_stack() if "flambeau" not in Path(f.filename).parts]
    _lines[node] = "".join(traceback.format_list(frames))


class detect_anomaly:
    """Context in which calls are noted, and backwards look for errors and NaN.

    For debugging only: every call takes many times longer.

    Args:
        check_nan: raise as soon as a backward function gives NaN.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._wanted = (True, check_nan)
        self._recorder = _Recorder()

    def __enter__(self) -> None:
        self._before = (_Mode.enabled, _Mode.checks_nan)
        _Mode.enabled, _Mode.checks_nan = self._wanted
        self._recorder.__enter__()

    def __exit__(self, *exc: object) -> None:
        _Mode.enabled, _Mode.checks_nan = self._before
        self._recorder.__exit__(*exc)


class set_detect_anomaly:
    """Turn anomaly mode on or off; as a context, until its end.

    Args:
        mode: on or off.
        check_nan: raise as soon as a backward function gives NaN.
    """

    _recorder: _Recorder | None = None

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (_Mode.enabled, _Mode.checks_nan)
        self._set(mode, check_nan)

    @classmethod
    def _set(cls, mode: bool, check_nan: bool) -> None:
        _Mode.enabled, _Mode.checks_nan = mode, check_nan
        if mode and cls._recorder is None:
            cls._recorder = _Recorder()
            cls._recorder.__enter__()
        elif not mode and cls._recorder is not None:
            cls._recorder.__exit__(None, None, None)
            cls._recorder = None

    def __enter__(self) -> None:
        """It is on already."""

    def __exit__(self, *exc: object) -> None:
        self._set(*self._before)


def is_enabled() -> bool:
    """Whether anomaly mode is on."""
    return _Mode.enabled


def is_check_nan_enabled() -> bool:
    """Whether it raises for NaN."""
    return _Mode.checks_nan


def tell(node: Any) -> None:
    """Warn with the line of the forward that a node was made by."""
    from flambeau.caution import warn

    line = _lines.get(node)
    known = f"Traceback of forward call that caused the error:\n{line}" if line else (
        "No forward pass information available. Enable detect anomaly during forward pass for "
        "more information.")
    warn(f"Error detected in {node.name()}. {known}", UserWarning)


def check(node: Any, results: tuple[Any, ...]) -> None:
    """Refuse gradients that are NaN.

    Raises:
        RuntimeError: naming the function and which of its gradients.
    """
    if not _Mode.checks_nan:
        return
    for i, g in enumerate(results):
        if isinstance(g, Tensor) and g.dtype.category >= 2 and bool((g != g).any()):
            tell(node)
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")
