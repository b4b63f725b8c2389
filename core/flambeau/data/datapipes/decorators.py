"""Marks of steps: functional names, determinism, types that are checked."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

from flambeau.data.datapipes.hints import allows, is_subtype
from flambeau.data.datapipes.pipe import IterDataPipe, MapDataPipe

_is_guaranteed = False
_is_validated = True


class functional_datapipe:
    """Give a class of steps a functional name: ``pipe.NAME(...)`` makes a step after ``pipe``.

    Raises:
        TypeError: for what is no class of steps.
        Exception: if the name is taken.
    """

    def __init__(self, name: str, enable_df_api_tracing: bool = False) -> None:
        self.name, self.enable_df_api_tracing = name, enable_df_api_tracing

    def __call__(self, cls: Any) -> Any:
        """Register the class, or the function that ``non_deterministic`` made of one."""
        target = getattr(cls, "datapipe", cls)
        for base in (IterDataPipe, MapDataPipe):
            if isinstance(target, type) and issubclass(target, base):
                base.register_datapipe_as_function(self.name, cls, self.enable_df_api_tracing)
                return cls
        raise TypeError("`functional_datapipe` can only decorate IterDataPipe and MapDataPipe")


class guaranteed_datapipes_determinism:
    """From now on, or within a block: refuse steps whose order is random."""

    def __init__(self) -> None:
        global _is_guaranteed
        self._before = _is_guaranteed
        _is_guaranteed = True

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        global _is_guaranteed
        _is_guaranteed = self._before


class non_deterministic:
    """Mark a class of steps as random; or, with a function of its arguments, some uses of it.

    Raises:
        TypeError: for what is neither such a class nor a function.
    """

    def __init__(self, arg: Any) -> None:
        self.datapipe: Any = None
        self._is_random: Callable[..., bool] = lambda *args, **kwargs: True
        if isinstance(arg, type):
            self._take(arg)
        elif callable(arg):
            self._is_random = arg
        else:
            raise TypeError(f"{arg} can not be decorated by non_deterministic")

    def _take(self, cls: type) -> None:
        if not issubclass(cls, IterDataPipe):
            raise TypeError(
                "Only `IterDataPipe` can be decorated with `non_deterministic`, but "
                f"{cls.__name__} is found"
            )
        self.datapipe = cls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take the class; then make steps of it, if they may be random.

        Raises:
            TypeError: for a random step where determinism is guaranteed.
        """
        if self.datapipe is None:
            self._take(args[0])
            return self
        if _is_guaranteed and self._is_random(*args, **kwargs):
            raise TypeError(
                f"{self.datapipe.__name__} is non-deterministic, but you set "
                "'guaranteed_datapipes_determinism'. You can turn off determinism for this "
                "DataPipe if that is acceptable for your application"
            )
        return self.datapipe(*args, **kwargs)


class runtime_validation_disabled:
    """Within the block: do not check samples."""

    def __init__(self) -> None:
        global _is_validated
        self._before = _is_validated
        _is_validated = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        global _is_validated
        _is_validated = self._before


def argument_validation(f: Callable[..., Any]) -> Callable[..., Any]:
    """Check that arguments annotated ``IterDataPipe[T]`` are steps that give ``T``.

    Raises:
        TypeError: in a call, for another argument.
    """
    signature = inspect.signature(f)
    hints = typing.get_type_hints(f)

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            hint = hints.get(name)
            origin = typing.get_origin(hint) or hint
            if isinstance(origin, type) and issubclass(origin, IterDataPipe):
                _check_argument(name, value, hint)
        return f(*args, **kwargs)

    return wrapper


def _check_argument(name: str, value: Any, hint: Any) -> None:
    if not isinstance(value, IterDataPipe):
        raise TypeError(f"Expected argument '{name}' as a IterDataPipe, but found {type(value)}")
    wanted = (typing.get_args(hint) or (Any,))[0]
    if not is_subtype(value.type, wanted):
        raise TypeError(
            f"Expected type of argument '{name}' as a subtype of hint {wanted}, but found "
            f"{value.type}"
        )


def runtime_validation(f: Callable[..., Any]) -> Callable[..., Any]:
    """Check that an ``__iter__`` gives samples of the type that its class states.

    Raises:
        TypeError: for another method.
        RuntimeError: while iterating, for a sample of another type.
    """
    if f.__name__ != "__iter__":
        raise TypeError(f"Can not decorate function {f.__name__} with 'runtime_validation'")

    @functools.wraps(f)
    def wrapper(self: Any) -> Iterator[Any]:
        for sample in f(self):
            if _is_validated and not allows(self.type, sample):
                raise RuntimeError(
                    f"Expected an instance as subtype of {self.type}, but found "
                    f"{sample}({type(sample)})"
                )
            yield sample

    return wrapper
