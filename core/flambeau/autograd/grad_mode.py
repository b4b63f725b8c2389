"""Whether operations are recorded: per thread, as context managers and decorators."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])


class _GradMode(threading.local):
    enabled: bool = True
    inference: bool = False


MODE: Final = _GradMode()


class _Context:
    """A setting that holds within ``with`` or within a decorated function."""

    _enabled: bool = False
    _inference: bool | None = None

    def __enter__(self) -> Any:
        # A stack: one instance may be entered again before it is left.
        stack = self.__dict__.setdefault("_before", [])
        stack.append((MODE.enabled, MODE.inference))
        MODE.enabled = self._enabled
        if self._inference is not None:
            MODE.inference = self._inference
        return None

    def __exit__(self, *exc: object) -> None:
        MODE.enabled, MODE.inference = self.__dict__["_before"].pop()

    def _again(self) -> _Context:
        """A fresh instance with the same setting, for each call of a decorated function."""
        return type(self)()

    def __call__(self, function: F) -> F:
        """Decorate a function."""
        if inspect.isclass(function):
            raise TypeError(f"{type(self).__name__} decorates functions, not classes")
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generate(*args: Any, **kwargs: Any) -> Any:
                return _step_through(function(*args, **kwargs), self._again)

            return generate  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


def _step_through(generator: Any, context: Callable[[], _Context]) -> Any:
    """Run a generator so that the mode holds inside it and not in its consumer."""
    send, value = generator.send, None
    while True:
        try:
            with context():
                item = send(value)
        except StopIteration as stop:
            return stop.value
        try:
            value = yield item
            send = generator.send
        except GeneratorExit:
            generator.close()
            raise
        except BaseException as error:
            value, send = error, generator.throw


class no_grad(_Context):
    """Do not record operations: results do not require gradients."""

    @overload
    def __new__(cls, function: None = None) -> no_grad: ...
    @overload
    def __new__(cls, function: F) -> F: ...  # type: ignore[misc]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """A context manager, or a function decorated without parentheses."""
        self = super().__new__(cls)
        return self if function is None else self(function)


class enable_grad(_Context):
    """Record operations again within a ``no_grad`` block."""

    _enabled = True

    @overload
    def __new__(cls, function: None = None) -> enable_grad: ...
    @overload
    def __new__(cls, function: F) -> F: ...  # type: ignore[misc]

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """A context manager, or a function decorated without parentheses."""
        self = super().__new__(cls)
        return self if function is None else self(function)


class set_grad_enabled(_Context):
    """Switch recording on or off; takes effect at once, and ends with a ``with`` block if any."""

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled() expects a bool, got {type(mode).__name__}")
        self._enabled = mode
        self._outer = (MODE.enabled, MODE.inference)
        MODE.enabled = mode

    def __enter__(self) -> Any:
        self.__dict__.setdefault("_before", []).append(self._outer)
        MODE.enabled = self._enabled
        return None

    def _again(self) -> _Context:
        return set_grad_enabled(self._enabled)

    def __call__(self, function: F) -> F:
        """Decorate a function."""
        MODE.enabled, MODE.inference = self._outer  # used as a decorator: no effect now
        return super().__call__(function)


class inference_mode(_Context):
    """Like ``no_grad``; unlike PyTorch's, its results may take part in autograd later."""

    def __new__(cls, mode: Any = True) -> Any:
        """A context manager, or a function decorated without parentheses."""
        self = super().__new__(cls)
        if callable(mode) and not isinstance(mode, bool):
            self._enabled, self._inference = False, True
            return self(mode)
        return self

    def __init__(self, mode: bool = True) -> None:
        self._inference = mode
        self._enabled = not mode and MODE.enabled

    def _again(self) -> _Context:
        return inference_mode(bool(self._inference))


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread."""
    return MODE.enabled


def is_inference_mode_enabled() -> bool:
    """Whether inference mode is on in this thread."""
    return MODE.inference
