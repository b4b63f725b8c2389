"""Nodes of the backward graph.

A node's ``edges`` say where its gradients go, one per tensor input: None (no gradient wanted),
another node, or a leaf tensor itself.  Nodes never hold a tensor that they do not need, so the
memory of intermediate results is freed as PyTorch frees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from flambeau.autograd.grad_mode import MODE
from flambeau.fields import NodeFields

if TYPE_CHECKING:
    from flambeau.registry import Op
    from flambeau.tensor import Tensor

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you "
    "call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward "
    "through the graph a second time or if you need to access saved tensors after calling "
    "backward."
)


class Node(NodeFields):
    """A step of the backward pass.

    ``kind`` and ``shape`` describe the tensor that the step's operation produced: an incoming
    gradient is converted and summed to them.
    """

    __slots__ = ("__dict__", "__weakref__")
    saves_lists: ClassVar[bool] = False
    """Whether lists of tensors are saved, of which no versions are kept."""

    def backward(self, g: Any) -> tuple[Any, ...]:
        """Gradients for the edges, from the gradient of the output."""
        raise NotImplementedError

    def release(self) -> None:
        """Drop what was saved, after the backward pass has used it.

        A step that saved no tensor can be gone through again, as in PyTorch.
        """
        for version in self.versions:
            if version >= 0:
                self.saved = None
                return
        if self.saves_lists and self.saved:
            self.saved = None

    def name(self) -> str:
        """The name shown in ``grad_fn``."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes that gradients go to, with the number of the output they belong to."""
        result: list[tuple[Any, int]] = []
        for edge in self.edges:
            if edge is None:
                result.append((None, 0))
            elif isinstance(edge, OutputOf):
                result.append((edge.edges[0], edge.position))
            elif isinstance(edge, Node):
                result.append((edge, 0))
            else:
                result.append((AccumulateGrad.of(edge), 0))
        return tuple(result)

    def metadata(self) -> dict[str, Any]:
        """A dict for the user's own notes."""
        notes: dict[str, Any] = self.__dict__
        return notes

    def register_hook(self, hook: Callable[..., Any]) -> Any:
        """Call ``hook(grad_inputs, grad_outputs)`` after the node has run."""
        return self._hook_table().add("post", hook)

    def register_prehook(self, hook: Callable[..., Any]) -> Any:
        """Call ``hook(grad_outputs)`` before the node runs."""
        return self._hook_table().add("pre", hook)

    def _hook_table(self) -> Hooks:
        if self.hooks is None:
            self.hooks = Hooks()
        return self.hooks

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class Hooks:
    """Hooks of a node or of a leaf, each kind in the order of registration."""

    __slots__ = ("__weakref__", "accumulated", "post", "pre", "tensor")

    def __init__(self) -> None:
        self.tensor: dict[int, Callable[..., Any]] = {}
        self.pre: dict[int, Callable[..., Any]] = {}
        self.post: dict[int, Callable[..., Any]] = {}
        self.accumulated: dict[int, Callable[..., Any]] = {}

    def add(self, which: str, hook: Callable[..., Any]) -> Any:
        """Register a hook; the handle's ``remove()`` undoes it."""
        from flambeau.hooks import RemovableHandle

        table: dict[int, Callable[..., Any]] = getattr(self, which)
        handle = RemovableHandle(table)
        table[handle.id] = hook
        return handle

    def run_tensor_hooks(self, g: Tensor) -> Tensor:
        """The gradient as the tensor's hooks leave it."""
        for hook in tuple(self.tensor.values()):
            changed = hook(g)
            if changed is not None:
                g = changed
        return g


class AccumulateGrad(Node):
    """Stands for a leaf in ``next_functions``; the engine writes to the leaf itself."""

    __slots__ = ("variable",)
    variable: Tensor

    @staticmethod
    def of(leaf: Tensor) -> AccumulateGrad:
        """The node of a leaf."""
        node = AccumulateGrad()
        node.edges, node.saved, node.versions, node.hooks = (), (), (), None
        node.kind, node.shape, node.variable = leaf._kind, leaf.shape, leaf
        return node

    def register_hook(self, hook: Callable[..., Any]) -> Any:
        """Call ``hook(grad_inputs, grad_outputs)`` after the gradient has been accumulated."""
        return self.variable.register_post_accumulate_grad_hook(
            lambda leaf: hook((), (leaf.grad,)) and None
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return id(self.variable)


class OutputOf(Node):
    """One output of a node that has several; collects its gradient for that node."""

    __slots__ = ("position",)
    position: int

    @staticmethod
    def make(node: Node, position: int, out: Tensor) -> OutputOf:
        """The edge end for output number ``position``."""
        self = OutputOf()
        self.edges, self.position, self.saved, self.versions = (node,), position, (), ()
        self.kind, self.shape, self.hooks = out._kind, out.shape, None
        return self


class OpNode(Node):
    """A node of a registered op; a subclass per op carries the op."""

    __slots__ = ()
    op: Op

    def unpack(self) -> list[Any]:
        """The saved values, after checking that none was modified since.

        Raises:
            RuntimeError: if the graph was freed, or a saved tensor was modified in place.
        """
        saved = self.saved
        if saved is None:
            raise RuntimeError(FREED)
        values = list(saved)
        for i, version in enumerate(self.versions):
            value = values[i]
            if version < 0 or value is None:
                continue
            storage = value._storage
            if storage is not None and storage.version != version:
                self._complain(value, version)
            if value._extra is SAVED_OUTPUT:
                values[i] = self._as_output(value, saved_slots(self.op)[i].position)
        return values

    def __getattr__(self, name: str) -> Any:
        """What is saved, by PyTorch's names: ``_saved_self``, ``_saved_result``."""
        if name.startswith("_saved_"):
            wanted = name.removeprefix("_saved_")
            for slot, value in zip(saved_slots(self.op), self.unpack(), strict=True):
                if slot.name == ("out" if wanted == "result" else wanted):
                    return value
        raise AttributeError(f"'{self.name()}' object has no attribute '{name}'")

    def _as_output(self, alias: Tensor, position: int = 0) -> Tensor:
        """A saved output, connected to this node again when the backward is itself recorded."""
        from flambeau.tensor import alias_of

        if not MODE.enabled or position not in self.op.differentiable_outputs:
            return alias
        out = alias_of(alias)
        several = len(self.op.differentiable_outputs) > 1
        out._fn, out._requires_grad = OutputOf.make(self, position, out) if several else self, True
        return out

    def _complain(self, value: Tensor, version: int) -> None:
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an "
            f"inplace operation: [{value.type()} {list(value.shape)}], saved by {self.name()} for "
            f"its backward, is at version {value._version}; expected version {version} instead. "
            "Clone the tensor before the in-place operation, or use the operation that returns "
            "a new tensor."
        )

    def backward(self, g: Any) -> tuple[Any, ...]:
        """Run the op's derivatives for the edges that want a gradient."""
        op = self.op
        if isinstance(g, dict):  # several differentiable outputs: None where nothing came in
            g = tuple(g.get(position) for position in op.differentiable_outputs)
        values = dict(zip(self._names(op), self.unpack(), strict=True))
        if op.joint is not None:
            needs = tuple(edge is not None for edge in self.edges)
            joint = op.joint(g, needs, *[values[s.name] for s in op.saved[""]])
            return tuple(joint)
        grads: list[Any] = []
        for position, edge in zip(op.schema.tensor_positions, self.edges, strict=True):
            name = op.schema.arguments[position].name
            rule = op.derivatives.get(name)
            if edge is None or rule is None:
                grads.append(None)
                continue
            grads.append(rule(g, *[values[s.name] for s in op.saved[name]]))
        return tuple(grads)

    @staticmethod
    def _names(op: Op) -> list[str]:
        return [s.name for s in saved_slots(op)]


SAVED_OUTPUT = object()
"""Marks, in ``_extra``, an alias of a node's own output: it must not point back at the node."""


def saved_slots(op: Op) -> list[Any]:
    """The values that the derivatives of an op use, each once, in a fixed order."""
    slots: dict[str, Any] = {}
    for needed in op.saved.values():
        for s in needed:
            slots.setdefault(s.name, s)
    return list(slots.values())


def edge_of(t: Tensor) -> Any:
    """Where the gradient of a tensor goes: None, its node, or the leaf itself."""
    if t._base is not None:
        t._refresh_history()
    if not t._requires_grad:
        return None
    return t._fn or t


def record(op: Op, args: tuple[Any, ...], outs: tuple[Any, ...]) -> OpNode:
    """The node of a call, saving what the derivatives of the inputs in need will ask for."""
    from flambeau.tensor import Tensor

    node: OpNode = op.node_class()
    edges: list[Any] = []
    wanted: set[str] = set()
    for position in op.schema.tensor_positions:
        value = args[position]
        if op.schema.arguments[position].is_list:
            found = [edge_of(t) if isinstance(t, Tensor) else None for t in value]
            edges.extend(found)
            need = any(e is not None for e in found)
        else:
            edge = edge_of(value) if isinstance(value, Tensor) else None
            edges.append(edge)
            need = edge is not None
        if need:
            wanted.update(s.name for s in op.saved.get(op.schema.arguments[position].name, ()))
    if op.joint is not None:
        wanted.update(s.name for s in op.saved[""])
    node.edges = tuple(edges)
    save_into(node, op, args, outs, wanted)
    out = outs[op.differentiable_outputs[0]]
    node.kind, node.shape, node.hooks = out._kind, out.shape, None
    if Watch.keep is not None:
        Watch.keep(node)
    return node


def save_into(
    node: OpNode, op: Op, args: tuple[Any, ...], outs: tuple[Any, ...], wanted: set[str]
) -> None:
    """Fill ``saved`` and ``versions`` of a node with the values of the wanted names."""
    from flambeau.tensor import Tensor

    saved: list[Any] = []
    versions: list[int] = []
    for slot in saved_slots(op):
        value: Any = None
        version = -1
        if slot.name in wanted:
            if slot.source == "output":
                value = save_output(outs[slot.position])
                version = value._storage.version
            else:
                value = args[slot.position]
                if slot.source == "shape":
                    value = value.shape if isinstance(value, Tensor) else ()
                elif slot.source == "dtype":
                    value = value.dtype if isinstance(value, Tensor) else None
                elif isinstance(value, Tensor):
                    version = value._version
        saved.append(value)
        versions.append(version)
    node.saved, node.versions = tuple(saved), tuple(versions)


def save_output(out: Tensor) -> Tensor:
    """An alias of an output that shares its version counter but not its history."""
    from flambeau.tensor import alias_of

    out.storage_()  # the counter must exist before it can be shared
    alias = alias_of(out)
    alias._extra = SAVED_OUTPUT
    return alias


class Watch:
    """Who wants to see nodes on the long way, while they want to."""

    note: Callable[[Any], None] | None = None
    """Told of every new node: anomaly mode."""
    keep: Callable[[Any], None] | None = None
    """Packs what a new node has saved: the hooks of saved tensors."""
    run: Callable[[Any, Any], tuple[Any, ...]] | None = None
    """Calls ``backward`` of nodes: the profiler."""


def attach(op: Op, node: OpNode, outs: tuple[Any, ...]) -> None:
    """Make the outputs of a call point at its node."""
    if Watch.note is not None:
        Watch.note(node)
    positions = op.differentiable_outputs
    several = len(positions) > 1
    for position in positions:
        out = outs[position]
        if out is None or not out._kind.is_differentiable:
            continue
        out._requires_grad = True
        out._fn = OutputOf.make(node, position, out) if several else node
