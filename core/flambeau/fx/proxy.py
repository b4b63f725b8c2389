"""What stands for a value while a program is traced: it notes what is done to it."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from flambeau.fx.node import Node, map_aggregate

if TYPE_CHECKING:
    from flambeau.fx.tracer import TracerBase

_BINARY: Final = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor",
    "lshift", "rshift",
)  # fmt: skip
_PLAIN: Final = ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "invert", "getitem")
_MESSAGE: Final = (
    "symbolically traced variables cannot be used as inputs to control flow: the graph would hold "
    "only one of the ways"
)


class TraceError(ValueError):
    """The program asks for what is only known when it runs."""


class Proxy:
    """Stands for the result of a node; operators, methods and functions of it make further ones."""

    def __init__(self, node: Node, tracer: TracerBase | None = None) -> None:
        from flambeau.fx.tracer import GraphAppendingTracer

        self.node = node
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, name: str) -> Attribute:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Attribute(self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of calling the value."""
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})

    def __iter__(self) -> Iterator[Any]:
        return self.tracer.iter(self)

    def __bool__(self) -> bool:
        return self.tracer.to_bool(self)

    def __len__(self) -> int:
        raise TraceError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be "
            "recorded, please call fx.wrap('len') at module scope")

    def __index__(self) -> int:
        raise TraceError(_MESSAGE)

    __int__ = __float__ = __complex__ = __index__
    __hash__ = object.__hash__


class Attribute(Proxy):
    """An attribute of a proxy: a value, or a method if it is called."""

    def __init__(self, root: Proxy, attr: str) -> None:
        self.root, self.attr, self.tracer = root, attr, root.tracer
        self._node: Node | None = None

    @property
    def node(self) -> Node:  # type: ignore[override]
        """The node that gets the attribute; made when it is asked for."""
        if self._node is None:
            made = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {})
            self._node = made.node
        return self._node

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the method."""
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


def _operator(function: Any, is_reflected: bool = False) -> Any:
    def apply(self: Proxy, *others: Any) -> Any:
        args = (*others, self) if is_reflected else (self, *others)
        return self.tracer.create_proxy("call_function", function, args, {})

    return apply


for _name in (*_BINARY, *_PLAIN):
    _bare = _name.rstrip("_")
    setattr(Proxy, f"__{_bare}__", _operator(getattr(operator, _name)))
    if _name in _BINARY:
        setattr(Proxy, f"__r{_bare}__", _operator(getattr(operator, _name), is_reflected=True))


def first_proxy(*values: Any) -> Proxy | None:
    """A proxy in the values, or in containers among them."""
    found: list[Proxy] = []
    map_aggregate(values, lambda v: found.append(v) if isinstance(v, Proxy) else None)
    return found[0] if found else None
