"""Hooks on the backward pass of a module.

The tensors that go into a module and those that come out of it pass through a node each.  When
the gradient reaches the outer node, the gradients of the outputs are known; when it reaches the
inner one, those of the inputs are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.node import Node, OutputOf, edge_of
from flambeau.tensor import Tensor, alias_of

Grads = tuple[Any, ...]


class BackwardHookFunctionBackward(Node):
    """Passes gradients on, after ``on_grads`` has seen or replaced them."""

    __slots__ = ("on_grads", "outputs")
    on_grads: Callable[[Grads], Grads]
    outputs: tuple[tuple[Any, Any], ...]

    def backward(self, g: Any) -> Grads:
        """Zeros where no gradient came in, then what the hooks make of them."""
        from flambeau.dispatch import full

        grads = []
        for position, (kind, shape) in enumerate(self.outputs):
            have = g.get(position)
            grads.append(full(kind, shape, 0) if have is None else have)
        return self.on_grads(tuple(grads))


def _through_node(
    tensors: Sequence[Tensor], on_grads: Callable[[Grads], Grads]
) -> tuple[Tensor, ...]:
    """The same values, their gradients passing through one node."""
    node = BackwardHookFunctionBackward()
    node.edges = tuple(edge_of(t) for t in tensors)
    node.saved, node.versions, node.hooks, node.on_grads = (), (), None, on_grads
    node.kind, node.shape = tensors[0]._kind, tensors[0].shape
    node.outputs = tuple((t._kind, t.shape) for t in tensors)
    outs = []
    for position, (t, edge) in enumerate(zip(tensors, node.edges, strict=True)):
        t.storage_()
        out = alias_of(t)
        if edge is not None:
            out._fn, out._requires_grad = OutputOf.make(node, position, out), True
        outs.append(out)
    return tuple(outs)


class BackwardHook:
    """The backward hooks of one forward call of a module."""

    def __init__(
        self, module: Any, user_hooks: Sequence[Any], user_pre_hooks: Sequence[Any]
    ) -> None:
        self.module, self.user_hooks, self.user_pre_hooks = module, user_hooks, user_pre_hooks
        self.grad_outputs: Any = None
        self.input_positions: list[int] | None = None
        self.inputs = self.outputs = 0

    def setup_input_hook(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments for ``forward``."""
        self.inputs = len(args)
        changed, self.input_positions = self._wrap(args, self._at_inputs)
        return changed

    def setup_output_hook(self, result: Any) -> Any:
        """The result for the caller."""
        single = not isinstance(result, tuple)
        items = (result,) if single else result
        self.outputs = len(items)
        changed, self.output_positions = self._wrap(items, self._at_outputs)
        if single:
            return changed[0]
        return type(result)(*changed) if hasattr(result, "_fields") else changed

    def _wrap(
        self, items: tuple[Any, ...], on_grads: Callable[[Grads], Grads]
    ) -> tuple[tuple[Any, ...], list[int] | None]:
        positions = [i for i, item in enumerate(items) if isinstance(item, Tensor)]
        wanted = MODE.enabled and any(items[i].requires_grad for i in positions)
        if not wanted:
            return items, None
        changed = list(items)
        through = _through_node([items[i] for i in positions], on_grads)
        for i, t in zip(positions, through, strict=True):
            changed[i] = t
        return tuple(changed), positions

    def _at_outputs(self, grads: Grads) -> Grads:
        """The gradients of the outputs are known: run the pre-hooks."""
        packed = _spread(grads, self.output_positions, self.outputs)
        for hook in self.user_pre_hooks:
            changed = hook(self.module, packed)
            if changed is not None:
                packed = _replacement(
                    changed, len(packed), "Backward pre hook", "grad_output")
        self.grad_outputs = packed
        if self.input_positions is None:  # no input needs a gradient: the hooks run now
            self._run_hooks((None,) * self.inputs)
        return _gather(packed, self.output_positions)

    def _at_inputs(self, grads: Grads) -> Grads:
        """The gradients of the inputs are known: run the hooks."""
        if self.grad_outputs is None:
            raise RuntimeError(
                "Module backward hook for grad_input is called before the grad_output one. This "
                "happens because the gradient in your nn.Module flows to the Module's input "
                "without passing through the Module's output. Make sure that the output depends "
                "on the input and that the loss is computed based on the output.")
        packed = self._run_hooks(_spread(grads, self.input_positions, self.inputs))
        self.grad_outputs = None
        return _gather(packed, self.input_positions)

    def _run_hooks(self, grad_inputs: Grads) -> Grads:
        without_inputs = self.input_positions is None
        for hook in self.user_hooks:
            changed = hook(self.module, grad_inputs, self.grad_outputs)
            if changed is None:
                continue
            if without_inputs and any(g is not None for g in _as_tuple(changed)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients.")
            grad_inputs = _replacement(changed, len(grad_inputs), "Backward hook", "grad_input")
        return grad_inputs


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _replacement(changed: Any, wanted: int, hook: str, what: str) -> Grads:
    grads = _as_tuple(changed)
    if len(grads) != wanted:
        raise RuntimeError(
            f"{hook} returned an invalid number of {what}, got {len(grads)}, but expected {wanted}")
    return grads


def _spread(grads: Grads, positions: list[int] | None, length: int) -> Grads:
    """Gradients at their arguments' places, None at the others."""
    packed: list[Any] = [None] * length
    for i, g in zip(positions or (), grads, strict=True):
        packed[i] = g
    return tuple(packed)


def _gather(packed: Grads, positions: list[int] | None) -> Grads:
    return tuple(packed[i] for i in positions or ())


def attach_plain_hooks(module: Any, hooks: Sequence[Any], result: Any) -> Any:
    """Register hooks of the old kind on the node of the first tensor of the result."""
    first = result
    while not isinstance(first, Tensor):
        if isinstance(first, dict):
            first = next(v for v in first.values() if isinstance(v, Tensor))
        else:
            first = first[0]
    node = first.grad_fn
    if node is not None:
        for hook in hooks:
            node.register_hook(lambda i, o, hook=hook: hook(module, i, o))
    return node
