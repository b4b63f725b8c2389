"""The bases of all steps, and the functional names of steps."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from flambeau.data.dataset import Dataset, IterableDataset

T_co = TypeVar("T_co", covariant=True)


class _Pipe:
    """What both kinds have: functions that make further steps, and hooks for pickling."""

    functions: ClassVar[dict[str, Callable[..., Any]]]
    str_hook: ClassVar[Callable[[Any], str] | None] = None
    repr_hook: ClassVar[Callable[[Any], str] | None] = None
    getstate_hook: ClassVar[Callable[[Any], Any] | None] = None
    reduce_ex_hook: ClassVar[Callable[[Any], Any] | None] = None

    @classmethod
    def register_function(cls, function_name: str, function: Callable[..., Any]) -> None:
        """Make ``pipe.NAME(...)`` call ``function(pipe, ...)``."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(
        cls, function_name: str, cls_to_register: type, enable_df_api_tracing: bool = False
    ) -> None:
        """Make ``pipe.NAME(...)`` give ``cls_to_register(pipe, ...)``.

        Raises:
            Exception: if the name is taken.
        """
        if function_name in cls.functions:
            raise Exception(
                f"Unable to add DataPipe function name {function_name} as it is already taken"
            )

        def make(source: Any, *args: Any, **kwargs: Any) -> Any:
            return cls_to_register(source, *args, **kwargs)

        functools.update_wrapper(make, cls_to_register, assigned=("__doc__",), updated=())
        cls.functions[function_name] = make

    def __getattr__(self, name: str) -> Any:
        function = type(self).functions.get(name)
        if function is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return functools.partial(function, self)

    def __getstate__(self) -> Any:
        hook = type(self).getstate_hook
        state = {k: v for k, v in self.__dict__.items() if k != "_valid_iterator_id"}
        return state if hook is None else hook(state)

    def __reduce_ex__(self, protocol: Any) -> Any:
        hook = type(self).reduce_ex_hook
        if hook is not None:
            try:
                return hook(self)
            except NotImplementedError:
                pass
        return super().__reduce_ex__(protocol)

    @classmethod
    def set_getstate_hook(cls, hook_fn: Callable[[Any], Any] | None) -> None:
        """Let a function change what is pickled.

        Raises:
            RuntimeError: if there is one already.
        """
        if cls.getstate_hook is not None and hook_fn is not None:
            raise RuntimeError("Attempt to override existing getstate_hook")
        cls.getstate_hook = None if hook_fn is None else staticmethod(hook_fn)

    @classmethod
    def set_reduce_ex_hook(cls, hook_fn: Callable[[Any], Any] | None) -> None:
        """Let a function decide how a pipe is pickled, unless it raises NotImplementedError.

        Raises:
            RuntimeError: if there is one already.
        """
        if cls.reduce_ex_hook is not None and hook_fn is not None:
            raise RuntimeError("Attempt to override existing reduce_ex_hook")
        cls.reduce_ex_hook = None if hook_fn is None else staticmethod(hook_fn)

    def __repr__(self) -> str:
        hook = type(self).repr_hook
        return type(self).__qualname__ if hook is None else hook(self)

    def __str__(self) -> str:
        hook = type(self).str_hook
        return type(self).__qualname__ if hook is None else hook(self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *type(self).functions]


class _Once:
    """An iterator that ends with an error once its pipe has been asked for another."""

    def __init__(self, pipe: Any, source: Iterator[Any]) -> None:
        self._pipe, self._source = pipe, source
        self._number = pipe._valid_iterator_id

    def __iter__(self) -> _Once:
        return self

    def __next__(self) -> Any:
        if self._pipe._valid_iterator_id != self._number:
            raise RuntimeError(
                "This iterator has been invalidated because another iterator has been created "
                f"from the same IterDataPipe: {self._pipe!r}\nThis may be caused multiple "
                "references to the same IterDataPipe. We recommend using `.fork()` if that is "
                "necessary."
            )
        return next(self._source)


class IterDataPipe(_Pipe, IterableDataset[T_co], Generic[T_co]):
    """A step that gives samples one after the other; a subclass writes ``__iter__``.

    A pipe has one valid iterator, the newest: two at a time would take each other's samples.
    """

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}
    type: ClassVar[Any] = Any
    """The type of its samples: ``int`` for a subclass of ``IterDataPipe[int]``."""
    _valid_iterator_id: int = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, IterDataPipe):
                given = get_args(base)[0]
                cls.type = Any if isinstance(given, TypeVar) else given
        if "__iter__" in cls.__dict__:
            setattr(cls, "__iter__", _one_at_a_time(cls.__dict__["__iter__"]))  # noqa: B010

    def __iter__(self) -> Iterator[T_co]:
        return self  # a subclass may write __next__ instead

    def reset(self) -> None:
        """What a subclass forgets when it is iterated anew; called for it."""


class DFIterDataPipe(IterDataPipe[Any]):
    """A step that gives data frames."""

    def _is_dfpipe(self) -> bool:
        return True


class MapDataPipe(_Pipe, Dataset[T_co], Generic[T_co]):
    """A step that gives the sample of an index; a subclass writes ``__getitem__``."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}


def _one_at_a_time(method: Callable[[Any], Iterator[Any]]) -> Callable[[Any], Iterator[Any]]:
    """An ``__iter__`` that invalidates the iterators it gave before."""

    @functools.wraps(method)
    def iterate(self: Any) -> Iterator[Any]:
        self._valid_iterator_id = self._valid_iterator_id + 1
        self.reset()
        return _Once(self, method(self))

    return iterate
