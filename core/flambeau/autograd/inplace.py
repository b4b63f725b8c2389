"""In-place operations under autograd, and the history of views after them.

A write through a view changes its base: the base gets a :class:`CopySlices` node that sends the
gradient of the written part through the operation and the rest to the old history.  Every other
view of the base finds its history again as ``as_strided`` of the base, which suffices because
strides belong to the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.node import SAVED_OUTPUT, Node, OpNode, attach, edge_of, record

if TYPE_CHECKING:
    from flambeau.layout import Layout
    from flambeau.registry import Op
    from flambeau.tensor import Tensor


class AsStridedBackward0(Node):
    """History of a view whose base was written to after the view was made."""

    __slots__ = ("base_layout", "layout")
    base_layout: Layout
    layout: Layout

    def backward(self, g: Tensor) -> tuple[Any, ...]:
        """Scatter the gradient of the view into one of the base."""
        return (scatter_view(g, self.base_layout, self.layout),)


class CopySlices(Node):
    """History of a base after an in-place operation on one of its views."""

    __slots__ = ("base_layout", "inner", "layout")
    base_layout: Layout
    layout: Layout
    inner: Node

    def backward(self, g: Tensor) -> tuple[Any, ...]:
        """Send the written part through the operation, the rest to the base's old history."""
        part = take_view(g, self.base_layout, self.layout)
        results = self.inner.backward(part)
        kept = put_view(g, self.base_layout, self.layout, results[0])
        return (kept, *results[1:])

    def release(self) -> None:
        """Drop what the operation saved."""
        self.inner.release()


def view_node(base: Tensor, view: Tensor) -> Node | None:
    """The node by which a view now depends on its base, None if the base has no gradient."""
    edge = edge_of(base)
    if edge is None:
        return None
    node = AsStridedBackward0()
    node.edges, node.saved, node.versions, node.hooks = (edge,), (), (), None
    node.kind, node.shape = view._kind, view.shape
    node.base_layout, node.layout = base.layout_(), view.layout_()
    return node


def take_view(g: Tensor, base: Layout, view: Layout) -> Tensor:
    """The part of a base's gradient that belongs to a view."""
    from flambeau.ops.shape import as_strided

    g = _in_layout(g, base)
    start = g.storage_offset() + view.offset - base.offset  # g may be a view itself
    part: Tensor = as_strided(g, view.shape, view.strides, start)
    return part


def put_view(g: Tensor, base: Layout, view: Layout, part: Tensor | None) -> Tensor:
    """A copy of a base's gradient with the part of a view replaced (zero if None)."""
    from flambeau.ops.shape import as_strided_scatter

    g = _in_layout(g, base)
    if part is None:
        part = take_view(g, base, view) * 0
    result: Tensor = as_strided_scatter(
        g, part, view.shape, view.strides, view.offset - base.offset
    )
    return result


def scatter_view(g: Tensor, base: Layout, view: Layout) -> Tensor:
    """A gradient for the base from that of a view: zero elsewhere, summed where it overlaps."""
    from flambeau.ops.shape import as_strided_backward

    result: Tensor = as_strided_backward(
        g, base.shape, base.strides, view.shape, view.strides, view.offset - base.offset
    )
    return result


def _in_layout(g: Tensor, base: Layout) -> Tensor:
    """The gradient in the memory order of the base, so that offsets mean the same."""
    from flambeau.ops.shape import contiguous_strided

    if g.layout_().strides == base.strides and not g.layout_().offset:
        return g
    result: Tensor = contiguous_strided(g, base.strides)
    return result


# ---- the operations themselves -----------------------------------------------------------------
def check_writable(op: Op, t: Tensor) -> None:
    """Refuse in-place operations that autograd or memory forbids.

    Raises:
        RuntimeError: for a leaf that requires a gradient, a view of one, or memory in which one
            element stands for several.
    """
    from flambeau.dispatch import OVERLAP

    if MODE.enabled and t.requires_grad:
        if t._fn is None:
            raise RuntimeError(
                f"{op.name}_(): a leaf Variable that requires grad is being used in an in-place "
                "operation. Wrap the call in no_grad(), or use the operation that returns a new "
                "tensor."
            )
        if t._base is not None and t._base._fn is None and t._base._requires_grad:
            raise RuntimeError(
                f"{op.name}_(): a view of a leaf Variable that requires grad is being used in an "
                "in-place operation."
            )
    if t.layout_().overlaps_itself():
        raise RuntimeError(f"{op.name}_(): {OVERLAP}")


def call_inplace(op: Op, args: tuple[Any, ...]) -> Tensor:
    """Run an op and write the result to its first argument.

    Raises:
        RuntimeError: if the result's shape or dtype does not fit into the first argument.
    """
    from flambeau import dispatch, modes
    from flambeau.typecheck import check_arguments

    if tuple(map(type, args)) not in op.accepted:
        check_arguments(op, args)
    t: Tensor = args[0]
    if modes.ACTIVE:
        handled = modes.intercept_write(op, args)
        if handled is not NotImplemented:
            changed: Tensor = handled
            return changed
    if (modes.ACTIVE or modes.OVERRIDING) and op.name != "copy":  # the copy below must arrive
        from flambeau.ops.memory import copy_

        handled = modes.intercept(op, args)
        if handled is not NotImplemented:
            written: Tensor = copy_(t, handled)
            return written
    check_writable(op, t)
    recorded = MODE.enabled and dispatch.any_requires_grad(op, args)
    if recorded and not op.is_differentiable:
        from flambeau.ops.memory import clone, copy_

        # Of a copy: the parts of the op may save the values that are overwritten here.
        result: Tensor = copy_(t, dispatch.call(op, (clone(t), *args[1:])))
        return result
    before = _with_history(op, t) if recorded else t
    enabled, MODE.enabled = MODE.enabled, False
    try:
        write(op, t, args)
    finally:
        MODE.enabled = enabled
    t.storage_().version += 1
    if recorded:
        node = record(op, (before, *args[1:]), (t,))
        _outdate(node, t, before)
        rebase(op, t, node)
    return t


def _outdate(node: OpNode, t: Tensor, before: Tensor) -> None:
    """Let saved arguments that lie in the memory written to be found modified.

    They were saved after the write; the output was so rightly.
    """
    if node.saved is None:
        return
    node.versions = tuple(
        version - 1 if version > 0 and value is not before and value._extra is not SAVED_OUTPUT and
        value._storage is t._storage else version
        for value, version in zip(node.saved, node.versions, strict=True))


def _with_history(op: Op, t: Tensor) -> Tensor:
    """The tensor as it was: its history, and its values if a derivative needs them."""
    from flambeau.dispatch import convert
    from flambeau.tensor import alias_of

    needs_value = any(
        s.name == "self" and s.source == "argument" for group in op.saved.values() for s in group
    )
    edge_of(t)  # brings the history of a view up to date
    old = convert(t, t._kind) if needs_value else alias_of(t)
    old._fn, old._requires_grad = t._fn, t._requires_grad
    return old


def write(op: Op, t: Tensor, args: tuple[Any, ...]) -> None:
    """Compute an op into its first argument, below autograd."""
    from flambeau import dispatch, fallback
    from flambeau.dtypes import can_cast

    if op.kind != "primitive":
        result = dispatch.run(op, args)
        _check_result(op, t, result.shape, result.dtype)
        if result is not t:
            dispatch.raw_copy(t, dispatch.convert(result, t._kind) if result._kind.device
                              is not t._kind.device else result)
        return
    moved = dispatch._on_one_device(op, args)
    assert op.rule is not None
    plan = op.rule(*moved)
    (expected,) = plan.results
    _check_result(op, t, expected.shape, expected.dtype)
    assert can_cast(expected.dtype, t.dtype)
    direct = expected.dtype is t.dtype and not any(
        _overlaps_partly(t, x) for x in plan.inputs
    )
    if direct:
        lacking = dispatch.run_kernel(op, t._kind, (t,), plan)
        if lacking is None:
            _remember_fast(op, t, moved, plan)
        else:
            dispatch.raw_copy(t, fallback.run_on_host(op, moved, t.device, lacking))
    else:
        out = dispatch.run_primitive(op, moved)
        dispatch.raw_copy(t, out)


def _remember_fast(op: Op, t: Tensor, args: tuple[Any, ...], plan: Any) -> None:
    """Note that operands of one kind, or numbers, go to the backend's kernel as they are."""
    from flambeau.dispatch import _are_of_kind

    kind = t._kind
    capabilities = kind.backend.capabilities(kind.device.index or 0)
    if op.template == "binary" and not capabilities.needs_contiguous and (
        not plan.attributes and plan.inputs[0] is t and _are_of_kind(kind, args[:2])
    ):
        kernel = kind.backend.kernels.out.get(op.name)  # the meta table makes none to index
        if kernel is not None:
            op.fast_inplace[kind] = kernel


def _overlaps_partly(t: Tensor, x: Any) -> bool:
    from flambeau.tensor import Tensor

    if not isinstance(x, Tensor) or x._storage is not t._storage or x._storage is None:
        return False
    return x.layout_() != t.layout_()


def _check_result(op: Op, t: Tensor, shape: Any, what: Any) -> None:
    from flambeau.dtypes import can_cast

    if tuple(shape) != t.shape:
        raise RuntimeError(
            f"{op.name}_(): output with shape {list(t.shape)} doesn't match the broadcast shape "
            f"{list(shape)}"
        )
    if not can_cast(what, t.dtype):
        raise RuntimeError(
            f"{op.name}_(): result type {what} can't be cast to the desired output type {t.dtype}"
        )


def rebase(op: Op, t: Tensor, node: OpNode) -> None:
    """Give a tensor that was written to its new history."""
    base = t._base
    if base is None:
        attach(op, node, (t,))
        return
    copied = CopySlices()
    copied.edges = (edge_of(base), *node.edges[1:])
    copied.saved, copied.versions, copied.hooks = (node,), (-1,), None
    copied.kind, copied.shape = base._kind, base.shape
    copied.base_layout, copied.layout, copied.inner = base.layout_(), t.layout_(), node
    base._fn, base._requires_grad = copied, True
    t._seen = -1  # its own history is found again from the base
