"""Tracing: a program is run once with proxies, and what they see becomes a graph."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from flambeau.fx.graph import Graph
from flambeau.fx.graph_module import GraphModule
from flambeau.fx.node import Node, map_aggregate
from flambeau.fx.proxy import _MESSAGE, Proxy, TraceError, first_proxy
from flambeau.modes import DispatchMode
from flambeau.nn import Module, Sequential
from flambeau.tensor import Tensor

if TYPE_CHECKING:
    from flambeau.registry import Op

_WRAPPED: Final[list[tuple[dict[str, Any], str]]] = []
_SPACES: Final = ("flambeau", "flambeau.nn.functional", "flambeau.linalg", "flambeau.fft",
                  "flambeau.special")  # fmt: skip


def wrap(fn_or_name: Any) -> Any:
    """Keep calls of a function of this file as nodes, instead of tracing into it.

    Called where the function is defined, with its name or as a decorator.

    Raises:
        RuntimeError: for neither a name nor a function.
        NotImplementedError: within a function.
    """
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name")
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    assert caller is not None
    if caller.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    _WRAPPED.append((caller.f_globals, name))
    return fn_or_name


class TracerBase:
    """Makes nodes of what proxies see."""

    graph: Graph

    def create_node(
        self, kind: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any],
        name: str | None = None, type_expr: Any = None,
    ) -> Node:
        """Add a node."""
        return self.graph.create_node(kind, target, args, kwargs, name, type_expr)

    def proxy(self, node: Node) -> Proxy:
        """What stands for a node."""
        return Proxy(node, self)

    def create_proxy(
        self, kind: str, target: Any, args: Any, kwargs: dict[str, Any], name: str | None = None,
        type_expr: Any = None,
    ) -> Proxy:
        """Add a node, with proxies among its arguments; gives what stands for it."""
        made = self.create_node(
            kind, target, self.create_arg(args), self.create_arg(kwargs), name, type_expr)
        return self.proxy(made)

    def create_arg(self, a: Any) -> Any:
        """An argument as a node holds it: the node of a proxy."""
        return map_aggregate(a, self._leaf_arg)

    def _leaf_arg(self, a: Any) -> Any:
        return a.node if isinstance(a, Proxy) else a

    def to_bool(self, obj: Proxy) -> bool:
        """Called where a proxy decides which way a program goes."""
        raise TraceError(_MESSAGE)

    def iter(self, obj: Proxy) -> Iterator[Any]:
        """Called where a proxy is iterated; as many items as are unpacked are known."""
        frame = inspect.currentframe()
        caller = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
        if caller is not None:
            count = _unpacked(caller)
            if count is not None:
                return iter([obj[i] for i in range(count)])  # type: ignore[index]
        raise TraceError(
            "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a "
            "loop or as a *args or **kwargs function argument.")


def _unpacked(frame: Any) -> int | None:
    """Into how many names the statement that a frame is at unpacks."""
    import dis

    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset == frame.f_lasti:
            return instruction.arg if instruction.opname == "UNPACK_SEQUENCE" else None
    return None


class GraphAppendingTracer(TracerBase):
    """Adds to a graph that is there."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph


class _Watch(DispatchMode):
    """Sees operators that are called with proxies."""

    def __init__(self, tracer: TracerBase) -> None:
        self.tracer = tracer

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        if first_proxy(args) is None:
            return NotImplemented
        positional, named = op.schema.unbind(args)
        return self.tracer.create_proxy("call_function", op.function, positional, named)


class Tracer(TracerBase):
    """Traces modules and functions.

    Args:
        autowrap_modules: modules whose functions become nodes when they are called with proxies.
        autowrap_functions: functions for which the same holds, where they are globals.
    """

    def __init__(
        self, autowrap_modules: tuple[Any, ...] = (), autowrap_functions: tuple[Any, ...] = ()
    ) -> None:
        import math

        self._modules_to_wrap = (math, *autowrap_modules)
        self._functions_to_wrap = autowrap_functions
        self.root: Any = None
        self.root_module_name = ""

    def is_leaf_module(self, m: Module, module_qualified_name: str) -> bool:
        """Whether calls of a module become nodes: by default those of this package's own."""
        home = type(m).__module__
        return home.startswith("flambeau.nn") and not isinstance(m, Sequential)

    def path_of_module(self, mod: Module) -> str:
        """The dotted name of a module.

        Raises:
            NameError: if it is no part of the root.
        """
        for name, module in self.root.named_modules():
            if module is mod:
                return str(name)
        raise NameError("module is not installed as a submodule")

    def call_module(
        self, m: Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A call of a module: a node, or what tracing its ``forward`` gives."""
        path = self.path_of_module(m)
        if self.is_leaf_module(m, path):
            return self.create_proxy("call_module", path, args, kwargs)
        return forward(*args, **kwargs)

    def _leaf_arg(self, a: Any) -> Any:
        """Parameters and buffers are asked for by name; other tensors become attributes."""
        if isinstance(a, Tensor):
            name = self._names.get(id(a))
            if name is None:
                name = next(
                    n for i in range(len(self._names) + 1)
                    if not hasattr(self.root, n := f"_tensor_constant{i}"))
                self.root.register_buffer(name, a, persistent=False)
                self._names[id(a)] = name
            return self.create_node("get_attr", name, (), {})
        return super()._leaf_arg(a)

    def trace(
        self, root: Module | Callable[..., Any], concrete_args: dict[str, Any] | None = None
    ) -> Graph:
        """The graph of a module's ``forward``, or of a function.

        Args:
            concrete_args: values that arguments have; what depends on them is decided.

        Raises:
            TraceError: where the program goes by what is only known when it runs.
        """
        if isinstance(root, Module):
            self.root, fn = root, type(root).forward
            self.root_module_name = type(root).__name__
            first: list[Any] = [root]
        else:
            self.root, fn, first = Module(), root, []
        self.graph = Graph()
        self._names = {
            id(t): n for n, t in (*self.root.named_parameters(), *self.root.named_buffers())}
        args, named = self._inputs(fn, len(first), concrete_args or {})
        with self._watching(), _Watch(self):
            result = fn(*first, *args, **named)
        self.graph.output(self.create_arg(result))
        return self.graph

    def _inputs(
        self, fn: Callable[..., Any], skip: int, concrete: dict[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """A proxy for every argument."""
        args: list[Any] = []
        named: dict[str, Any] = {}
        for p in list(inspect.signature(fn).parameters.values())[skip:]:
            if p.name in concrete:
                value = concrete[p.name]
            else:
                star = "*" * (p.kind is p.VAR_POSITIONAL) + "**" * (p.kind is p.VAR_KEYWORD)
                default = () if p.default is p.empty else (p.default,)
                value = self.create_proxy("placeholder", star + p.name, default, {})
            if p.kind is p.KEYWORD_ONLY:
                named[p.name] = value
            elif p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
                args.append(value)
        return args, named

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Within the block, functions and modules that are called with proxies become nodes."""
        changed: list[tuple[dict[str, Any], str, Any]] = []

        def put(scope: dict[str, Any], name: str) -> None:
            before = scope.get(name, getattr(sys.modules["builtins"], name, None))
            changed.append((scope, name, scope.get(name, _ABSENT)))
            scope[name] = self._noted(before)

        for module in (*(sys.modules[n] for n in _SPACES if n in sys.modules),
                       *self._modules_to_wrap):
            for name, value in list(vars(module).items()):
                if not name.startswith("_") and inspect.isroutine(value):
                    put(vars(module), name)
        for scope, name in _WRAPPED:
            put(scope, name)
        call = Module.__call__
        tracer = self

        def called(mod: Module, *args: Any, **kwargs: Any) -> Any:
            if first_proxy(args, kwargs) is None:
                return call(mod, *args, **kwargs)
            return tracer.call_module(mod, lambda *a, **k: call(mod, *a, **k), args, kwargs)

        Module.__call__ = called  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            Module.__call__ = call  # type: ignore[method-assign]
            for scope, name, before in reversed(changed):
                if before is _ABSENT:
                    del scope[name]
                else:
                    scope[name] = before

    def _noted(self, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if first_proxy(args, kwargs) is None:
                return function(*args, **kwargs)
            return self.create_proxy("call_function", function, args, kwargs)

        return call


_ABSENT: Final = object()


def symbolic_trace(
    root: Module | Callable[..., Any], concrete_args: dict[str, Any] | None = None
) -> GraphModule:
    """A module that does what another one, or a function, does, and holds it as a graph.

    Args:
        concrete_args: see :meth:`Tracer.trace`.
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    is_module = isinstance(root, Module)
    name = type(root).__name__ if is_module else getattr(root, "__name__", "GraphModule")
    return GraphModule(tracer.root, graph, name)
