"""A module whose ``forward`` is a graph."""

from __future__ import annotations

import copy
import linecache
import operator
from typing import Any

from flambeau.fx.graph import Graph, PythonCode
from flambeau.nn import Module
from flambeau.tensor import Tensor

_made = 0


class GraphModule(Module):
    """Runs a graph as Python code that is written from it.

    Args:
        root: the module that the graph's dotted names start from, or a dict of what they stand
            for.  What the graph uses is taken over, not copied.
        graph: the program.
        class_name: what the class is called.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> GraphModule:
        """Each has a class of its own, for its own ``forward``."""
        return super().__new__(type(cls.__name__, (cls,), {"__module__": cls.__module__}))

    def __init__(
        self, root: Module | dict[str, Any], graph: Graph, class_name: str = "GraphModule"
    ) -> None:
        super().__init__()
        type(self).__name__ = class_name
        if isinstance(root, Module):
            self.training = root.training
        for node in graph.nodes:
            if node.op in ("get_attr", "call_module"):
                self._take(str(node.target), root)
        self.graph = graph

    def _take(self, target: str, root: Module | dict[str, Any]) -> None:
        """Put what a dotted name stands for at the same name here."""
        path, _, name = target.rpartition(".")
        try:
            value = operator.attrgetter(target)(root) if isinstance(root, Module) else root[target]
        except (AttributeError, KeyError):
            raise RuntimeError(
                f"Node in Graph passed in references attribute {target} that is not in root"
            ) from None
        holder: Any = self
        for part in path.split(".") if path else ():
            if part not in holder._modules:
                holder.add_module(part, Module())
            holder = holder._modules[part]
        if hasattr(holder, name):
            return
        if isinstance(value, Tensor) and not isinstance(value, _parameter()):
            holder.register_buffer(name, value)
        else:
            setattr(holder, name, value)

    @property
    def graph(self) -> Graph:
        """The program; after a change of it, ``recompile``."""
        return self.__dict__["_graph"]  # type: ignore[no-any-return]

    @graph.setter
    def graph(self, graph: Graph) -> None:
        if not isinstance(graph, Graph):
            raise AssertionError(f"Expected a Graph instance, but got {type(graph)}")
        self.__dict__["_graph"] = graph
        graph.owning_module = self
        self.recompile()

    @property
    def code(self) -> str:
        """The text of ``forward``."""
        return self.__dict__["_code"]  # type: ignore[no-any-return]

    def recompile(self) -> PythonCode:
        """Write ``forward`` from the graph anew."""
        global _made
        _made += 1
        written = self.graph.python_code()
        file = f"<flambeau.fx {_made}>"
        linecache.cache[file] = (len(written.src), None, written.src.splitlines(True), file)
        scope = dict(written.globals)
        exec(compile(written.src, file, "exec"), scope)
        type(self).forward = scope["forward"]  # type: ignore[method-assign]
        self.__dict__["_code"] = written.src
        return written

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphModule:
        held = Module()
        held.__dict__.update(copy.deepcopy(
            {k: v for k, v in self.__dict__.items() if k not in ("_graph", "_code")}, memo))
        return GraphModule(held, copy.deepcopy(self.graph), type(self).__name__)

    def __reduce__(self) -> Any:
        held = Module()
        held.__dict__.update(
            {k: v for k, v in self.__dict__.items() if k not in ("_graph", "_code")})
        return (_rebuilt, (held, self.graph, type(self).__name__))

    def __str__(self) -> str:
        return f"{super().__str__()}\n\n\n\n{self.code}"

    def print_readable(self, print_output: bool = True) -> str:
        """The text of ``forward`` in its class, printed unless that is not wanted."""
        body = "\n".join(f"    {line}" for line in self.code.splitlines())
        text = f"class {type(self).__name__}(nn.Module):\n{body}\n"
        if print_output:
            print(text)
        return text


def _rebuilt(root: Module, graph: Graph, name: str) -> GraphModule:
    return GraphModule(root, graph, name)


def _parameter() -> type:
    from flambeau.nn import Parameter

    return Parameter
