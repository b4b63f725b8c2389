"""Kernels from functions that take arrays and return arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flambeau.backend import KernelTable, Layout
from flambeau.backend.functional.library import ArrayLibrary
from flambeau.backend.functional.memory import Buffer, View
from flambeau.backend.functional.pending import Runtime

F = TypeVar("F", bound=Callable[..., Any])


class FunctionTable(KernelTable):
    """The kernels of a functional backend.

    ``function(*arrays, **attributes) -> array`` serves as both forms of a kernel.  Operands that
    are numbers stay numbers, optional tensors that were left out are None, lists of tensors are
    lists of arrays; a function with several results returns a tuple, one that declines a case
    returns ``NotImplemented``.  ``fill`` and ``copy`` are there from the start.
    """

    def __init__(self, library: ArrayLibrary) -> None:
        super().__init__()
        self.runtime = Runtime(library)
        self.register("fill")(self._fill)
        self.register("copy")(self._copy)

    def add(self, **functions: Callable[..., Any]) -> None:
        """Functions by the names of their ops."""
        for name, function in functions.items():
            self.function(name)(function)

    def function(self, *names: str) -> Callable[[F], F]:
        """Decorator: this function is the kernel of the ops named."""

        def register(function: F) -> F:
            self.register(*names, fresh=self._fresh_form(function))(self._out_form(function))
            return function

        return register

    def constructor(self, *names: str) -> Callable[[F], F]:
        """Decorator: this function makes an array of nothing: ``function(shape, dtype, ...)``."""

        def register(function: F) -> F:
            def kernel(out: View, **attributes: Any) -> Any:
                made = function(out.shape, out.dtype, **attributes)
                out.write(self.runtime.library.place(made, out.buffer.index))

            self.register(*names)(kernel)
            return function

        return register

    def override(self, *names: str) -> Callable[[F], F]:
        """Decorator: this function is a fused kernel of the composites named."""

        def register(function: F) -> F:
            self.register_fresh(*names)(self._fresh_form(function))
            return function

        return register

    # ---- the two forms of a kernel -----------------------------------------------------------
    def _fresh_form(self, function: Callable[..., Any]) -> Callable[..., Any]:
        wrap = self._wrap

        def kernel(*inputs: Any, **attributes: Any) -> Any:
            arrays = [x.read() if x.__class__ is View else _arrays(x) for x in inputs]
            return wrap(function(*arrays, **attributes), inputs)

        return kernel

    @staticmethod
    def _out_form(function: Callable[..., Any]) -> Callable[..., Any]:
        def kernel(out: Any, *inputs: Any, **attributes: Any) -> Any:
            result = function(*map(_arrays, inputs), **attributes)
            if result is NotImplemented:
                return NotImplemented
            several = isinstance(out, tuple)
            for view, array in zip(*((out, result) if several else ((out,), (result,))),
                                   strict=True):
                view.write(array)
            return None

        return kernel

    def _wrap(self, result: Any, inputs: tuple[Any, ...]) -> Any:
        """New memory over what a function returned."""
        if result is NotImplemented or result is None:
            return result
        if result.__class__ is tuple:
            return tuple(self._wrap(r, inputs) for r in result)
        what = self.runtime.library.dtype_of(result)
        layout = Layout.contiguous(tuple(result.shape))
        buffer = Buffer(self.runtime, layout.numel * what.itemsize, _index_of(inputs))
        buffer.put(result, what, layout.shape)
        return View(buffer, what, layout)

    # ---- what every library has ----------------------------------------------------------------
    def _fill(self, out: View, value: Any) -> None:
        library = self.runtime.library
        out.write(library.place(library.full(out.shape, out.dtype, value), out.buffer.index))

    def _copy(self, out: View, source: View) -> None:
        out.write(source.read())


def _arrays(x: Any) -> Any:
    """A kernel's argument in the library's terms."""
    if x.__class__ is View:
        return x.read()
    return [_arrays(v) for v in x] if x.__class__ in (list, tuple) else x


def _index_of(inputs: tuple[Any, ...]) -> int:
    """The device of the first tensor among the inputs of a kernel."""
    for x in inputs:
        if x.__class__ is View:
            index: int = x.buffer.index
            return index
        if x.__class__ in (list, tuple):
            return _index_of(tuple(x))
    return 0
