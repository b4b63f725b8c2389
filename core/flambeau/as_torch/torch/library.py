"""``torch.library``: functions that a program registers as operators are called as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flambeau.autograd import Function


class CustomOpDef:
    """A function with derivatives of its own, if any are registered.

    Args:
        name: ``namespace::name``.
        fn: what it does.
    """

    def __init__(self, name: str, fn: Callable[..., Any]) -> None:
        self._qualname, self._fn = name, fn
        self._kernels: dict[str, Callable[..., Any]] = {}
        self._function: type[Function] | None = None
        self.__name__, self.__doc__ = getattr(fn, "__name__", name), fn.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the kernel of the arguments' device, or the function."""
        if self._function is None or kwargs:
            return self._run(*args, **kwargs)
        return self._function.apply(*args)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        if self._kernels:
            for value in args:
                kernel = self._kernels.get(getattr(getattr(value, "device", None), "type", ""))
                if kernel is not None:
                    return kernel(*args, **kwargs)
        return self._fn(*args, **kwargs)

    def register_kernel(
        self, device_types: Any, func: Callable[..., Any] | None = None
    ) -> Callable[..., Any]:
        """Use another function for tensors of some devices."""
        names = [device_types] if isinstance(device_types, str) else list(device_types or ())

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            self._kernels.update(dict.fromkeys(names, function))
            return function

        return add if func is None else add(func)

    def register_fake(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Use a function for tensors without data, on the device ``meta``."""
        self._kernels["meta"] = func
        return func

    def register_autograd(
        self, backward: Callable[..., Any], /, *,
        setup_context: Callable[..., Any] | None = None,
    ) -> None:
        """Give derivatives: ``backward(ctx, *grads)``, ``setup_context(ctx, inputs, output)``."""
        run = self._run

        def set_up(ctx: Any, inputs: Any, output: Any) -> None:
            if setup_context is not None:
                setup_context(ctx, inputs, output)

        members = {
            "forward": staticmethod(lambda *args: run(*args)),
            "setup_context": staticmethod(set_up), "backward": staticmethod(backward)}
        self._function = type(self.__name__, (Function,), members)


def custom_op(
    name: str, fn: Callable[..., Any] | None = None, /, *, mutates_args: Any = (),
    device_types: Any = None, schema: str | None = None, tags: Any = None,
) -> Any:
    """A function as an operator of its own; a decorator without ``fn``."""
    def make(function: Callable[..., Any]) -> CustomOpDef:
        return CustomOpDef(name, function)

    return make if fn is None else make(fn)


triton_op = custom_op


def register_fake(op: Any, func: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """``op.register_fake``; an operator that is known by name only is left alone."""
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        return op.register_fake(function) if isinstance(op, CustomOpDef) else function

    return add if func is None else add(func)


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Any = None, lib: Any = None
) -> None:
    """``op.register_autograd``; an operator that is known by name only is left alone."""
    if isinstance(op, CustomOpDef):
        op.register_autograd(backward, setup_context=setup_context)
