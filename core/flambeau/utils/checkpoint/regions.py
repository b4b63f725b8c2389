"""``checkpoint`` and ``checkpoint_sequential``, and the settings of regions."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final

from flambeau.autograd.grad_mode import is_grad_enabled
from flambeau.modes import DispatchMode
from flambeau.registry import Op
from flambeau.tensor import Tensor
from flambeau.utils.checkpoint.devices import Surroundings
from flambeau.utils.checkpoint.reentrant import CheckpointFunction
from flambeau.utils.checkpoint.region import Region

__all__ = [
    "checkpoint", "checkpoint_sequential", "noop_context_fn", "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]

Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]
CHECKS: Final = ("default", "none")


class _Settings(threading.local):
    early_stop: bool | None = None
    debug: bool | None = None


_settings: Final = _Settings()


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Whether regions of calls within the context stop when all that is needed is computed."""
    before, _settings.early_stop = _settings.early_stop, enable
    try:
        yield
    finally:
        _settings.early_stop = before


@contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Overrules the ``debug`` of calls within the context, unless it is None."""
    before, _settings.debug = _settings.debug, enabled
    try:
        yield
    finally:
        _settings.debug = before


def noop_context_fn() -> Contexts:
    """Nothing around the forward computation, nothing around its repetition."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn, determinism_check: str = "default",
    debug: bool = False, early_stop: bool = True, **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)`` that keeps only its arguments for the backward pass.

    Args:
        use_reentrant: True asks for PyTorch's older variant, which takes no ``kwargs`` and
            records only if an argument requires a gradient; to be given explicitly.
        context_fn: makes the contexts of the forward computation and of its repetition.
        preserve_rng_state: (True) the repetition draws the same random numbers.
        determinism_check: "default" compares shapes, dtypes and devices of what is saved; "none".
        debug: errors list the operators of both computations.
        early_stop: end the repetition when all that is needed has been computed.

    Raises:
        ValueError: for keyword arguments with ``use_reentrant=True``, or an unknown check.
        CheckpointError: in the backward pass, if the repetition does something else.
    """
    if use_reentrant is None:
        warnings.warn(
            "flambeau.utils.checkpoint: the use_reentrant parameter should be passed explicitly. "
            "use_reentrant=False is recommended.", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug:
            raise ValueError(
                "Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in CHECKS:
        raise ValueError(
            f"determinism_check should be one of {list(CHECKS)} but got {determinism_check}")
    debug = debug if _settings.debug is None else _settings.debug
    stop = early_stop if _settings.early_stop is None else _settings.early_stop
    if debug:
        if context_fn is not noop_context_fn:
            raise ValueError("debug=True is incompatible with non-default context_fn")
        logs = _Log(), _Log()
        context_fn = lambda: logs  # noqa: E731
    first, again = context_fn()
    if not is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    call = _Call(function, args, kwargs)
    surroundings = Surroundings(preserve)

    def repeat(tensors: tuple[Tensor, ...]) -> None:
        with surroundings.again(), again:
            call(tensors)

    region = Region(
        repeat, call.take_tensors(), stop, determinism_check == "default",
        (lambda: _described(*logs)) if debug else (lambda: _ADVICE))
    with region.forward(), first:
        return function(*args, **kwargs)


_ADVICE: Final = "\n\nPass debug=True to checkpoint() to see the operators of both computations."


class _Call:
    """A function with its arguments, the tensors among them to be put in anew."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._function, self._args, self._kwargs = function, args, kwargs

    def take_tensors(self) -> list[Tensor]:
        """The tensors among the arguments; from now on they are kept by autograd, not here."""
        found = [a for a in (*self._args, *self._kwargs.values()) if isinstance(a, Tensor)]
        self._args = tuple(_HOLE if isinstance(a, Tensor) else a for a in self._args)
        self._kwargs = {
            k: _HOLE if isinstance(a, Tensor) else a for k, a in self._kwargs.items()}
        return found

    def __call__(self, tensors: tuple[Tensor, ...]) -> Any:
        rest = iter(tensors)
        args = [next(rest) if a is _HOLE else a for a in self._args]
        kwargs = {k: next(rest) if a is _HOLE else a for k, a in self._kwargs.items()}
        return self._function(*args, **kwargs)


_HOLE: Final = object()


class _Log(DispatchMode):
    """Notes which operators are called on what."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self) -> Any:
        self.lines.clear()
        return super().__enter__()

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Note the call, and let it go on."""
        given = ", ".join(
            f"{a.dtype.name}{list(a.shape)}" if isinstance(a, Tensor) else repr(a) for a in args)
        self.lines.append(f"{op.name}({given})")
        return NotImplemented


def _described(first: _Log, again: _Log) -> str:
    parts = [
        f"\n\nOperators of {name}:\n" + "\n".join(f"  {line}" for line in log.lines)
        for name, log in (("the forward pass", first), ("the recomputation", again))]
    return "".join(parts)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run modules one after the other, keeping values only between segments of them.

    Args:
        functions: a ``Sequential`` or a list.
        segments: how many; the last one is not checkpointed.
        preserve_rng_state: (True) repetitions draw the same random numbers.
    """
    if use_reentrant is None:
        warnings.warn(
            "flambeau.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should "
            "be passed explicitly. use_reentrant=False is recommended.", stacklevel=2)
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    modules = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def run(part: list[Any]) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for module in part:
                x = module(x)
            return x

        return forward

    size = len(modules) // segments
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(
            run(modules[start : start + size]), input, use_reentrant=use_reentrant,
            preserve_rng_state=preserve)
    return run(modules[size * (segments - 1) :])(input)
