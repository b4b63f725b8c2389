"""The path of one call: modes, autograd, backend.

Specialised wrappers (:mod:`flambeau.wrappers`) take a short cut for the common cases; whatever
they do not handle comes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flambeau import fallback, limited, modes
from flambeau.autograd.grad_mode import MODE
from flambeau.autograd.node import attach, edge_of, record
from flambeau.caution import warn
from flambeau.device import CPU
from flambeau.dtypes import Default, can_cast
from flambeau.errors import MissingKernelError
from flambeau.kind import Kind, kind_of
from flambeau.layout import Layout, contiguous_strides
from flambeau.limited import Limited
from flambeau.modes import ACTIVE
from flambeau.overrides import OVERRIDING
from flambeau.registry import Op, Plan, Result, apply_view_rule
from flambeau.storage import Storage
from flambeau.tensor import Tensor, alias_of, from_native, from_storage
from flambeau.typecheck import check_arguments


def call(op: Op, args: tuple[Any, ...]) -> Any:
    """Run an op on complete arguments, in the order of its schema."""
    if ACTIVE or OVERRIDING:
        handled = modes.intercept(op, args)
        if handled is not NotImplemented:
            return handled
    if tuple(map(type, args)) not in op.accepted:
        check_arguments(op, args)
    if MODE.enabled and any_requires_grad(op, args):
        if op.is_differentiable:
            return _call_recorded(op, args)
        if op.decompose is not None:
            return op.decompose(*args)
    return run(op, args)


def run(op: Op, args: tuple[Any, ...]) -> Any:
    """Run an op below autograd: kernel, override or decomposition."""
    is_limited = Limited.seen and limited.check(op, tensors_of(op, args))
    if op.kind == "primitive":
        return run_primitive(op, args)
    if op.kind == "view":
        return call_view(op, args[0], args[1:])
    place = device_of(op, args)
    if place is not None and not is_limited:
        try:
            result = _run_override(op, args, place)
        except (TypeError, ValueError, IndexError):
            # Kernels may stumble over bad arguments; the decomposition says what is wrong with
            # them.  If it finds nothing, the kernel is at fault, and that must be seen.
            assert op.decompose is not None
            op.decompose(*args)
            raise
        if result is not NotImplemented:
            return result
    assert op.decompose is not None
    return op.decompose(*args)


def any_requires_grad(op: Op, args: tuple[Any, ...]) -> bool:
    """Whether any tensor argument takes part in differentiation."""
    for t in tensors_of(op, args):
        if t._requires_grad or (t._base is not None and t.requires_grad):
            return True
    return False


def tensors_of(op: Op, args: tuple[Any, ...]) -> list[Tensor]:
    """The tensors among the arguments, those within lists included."""
    found: list[Tensor] = []
    for position in op.schema.tensor_positions:
        value = args[position]
        if isinstance(value, Tensor):
            found.append(value)
        elif value.__class__ is list or value.__class__ is tuple:
            found += [item for item in value if isinstance(item, Tensor)]
    return found


def _call_recorded(op: Op, args: tuple[Any, ...]) -> Any:
    MODE.enabled = False
    try:
        result = run(op, args)
    finally:
        MODE.enabled = True
    several = isinstance(result, (tuple, list))
    outs = tuple(result) if several else (result,)
    given = {id(t) for t in tensors_of(op, args)}
    if any(id(out) in given for out in outs):  # an input passed through must not be rewired
        outs = tuple(alias_of(o) if id(o) in given else o for o in outs)
        result = type(result)(outs) if several else outs[0]
    bases = {id(t if t._base is None else t._base) for t in tensors_of(op, args)}
    for out in outs:  # what was made in here has no base outside, whose history would hide its own
        if out is not None and out._base is not None and id(out._base) not in bases:
            out._base = None
    attach(op, record(op, args, outs), outs)
    return result


# ---- kernels -----------------------------------------------------------------------------------
def run_primitive(op: Op, args: tuple[Any, ...]) -> Any:
    """Call the backend's kernel on freshly allocated results."""
    if op.mixed:
        met = _run_mixed(op, args)
        if met is not NotImplemented:
            return met
    args = _on_one_device(op, args)
    assert op.rule is not None
    plan: Plan = op.rule(*args)
    place = _plan_device(plan)
    kind = kind_of(place, plan.results[0].dtype)
    kernels = kind.backend.kernels
    fresh = kernels.fresh.get(op.name)
    if fresh is not None and not _has_half_and_number(kind, plan.inputs):
        given: Any = natives_of(plan.inputs) or (
            tuple(plan.results[0].shape), plan.results[0].dtype
        )
        native = fresh(*given, **plan.attributes)
        if native is not NotImplemented:
            if len(plan.results) > 1:
                return tuple(
                    from_native(kind_of(place, r.dtype), n)
                    for r, n in zip(plan.results, native, strict=True)
                )
            if kind.backend.dtype_of(native) is kind.dtype:
                if op.template != "general":
                    _remember_fast(op, args, plan, kind, fresh)
                if op.template == "binary":
                    _remember_mixed(op, args, plan, kind, fresh)
                return from_native(kind, native)
            # The library promotes in its own way (NumPy: bfloat16 * 2.0): let it convert to `out`.
    outs = tuple(empty(kind_of(place, r.dtype), layout_of(r)) for r in plan.results)
    lacking = run_kernel(op, kind, outs, plan)
    if lacking is not None:
        return fallback.run_on_host(op, args, place, lacking)
    return outs if len(outs) > 1 else outs[0]


def _has_half_and_number(kind: Kind, inputs: Sequence[Any]) -> bool:
    """Whether a number meets 16-bit floats, to which a library's own promotion may round it."""
    return kind.dtype.itemsize == 2 and kind.dtype.category == 2 and any(
        x.__class__ is float or x.__class__ is int for x in inputs)


def run_kernel(op: Op, kind: Kind, outs: tuple[Tensor, ...], plan: Plan) -> str | None:
    """Call the ``out`` form of a kernel; if there is none for this, say what is lacking."""
    kernel = kind.backend.kernels.out.get(op.name)
    if kernel is None:
        return ""
    capabilities = kind.backend.capabilities(kind.device.index or 0)
    inputs, targets = plan.inputs, outs
    if capabilities.needs_contiguous:
        inputs = tuple(contiguous(t) if isinstance(t, Tensor) else t for t in inputs)
        targets = tuple(
            t if t.layout_().is_contiguous else empty(t._kind, Layout.contiguous(t.shape))
            for t in outs
        )
    out_natives = tuple(t.native() for t in targets)
    out: Any = out_natives if len(out_natives) > 1 else out_natives[0]
    if kernel(out, *natives_of(inputs), **plan.attributes) is NotImplemented:
        return "The kernel declined these inputs: " + ", ".join(map(_describe, plan.inputs))
    for target, wanted in zip(targets, outs, strict=True):
        if target is not wanted:
            raw_copy(wanted, target)
    return None


def natives_of(inputs: Sequence[Any]) -> list[Any]:
    """Inputs as kernels take them: natives for tensors, lists of them, and plain values."""
    return [
        t.native() if isinstance(t, Tensor)
        else (natives_of(t) if isinstance(t, (list, tuple)) else t)
        for t in inputs
    ]


def _remember_fast(op: Op, args: tuple[Any, ...], plan: Plan, kind: Kind, fresh: Any) -> None:
    """Note that inputs of one kind, and numbers with them, go to this kernel as they are."""
    first, operands = args[0], args[: len(plan.inputs)]
    if isinstance(first, Tensor) and _are_of_kind(first._kind, operands) and all(
        a is b for a, b in zip(operands, plan.inputs, strict=False) if isinstance(a, Tensor)
    ):
        op.fast[first._kind] = (fresh, kind)


def _key_of_mixed(a: Any, b: Any) -> Any:
    """What decides how two operands are promoted, None if they are not tensors of two kinds."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a._kind is b._kind:
        return None
    return a._kind, b._kind, a.ndim > 0, b.ndim > 0, Default.floating


def _remember_mixed(
    op: Op, args: tuple[Any, ...], plan: Plan, kind: Kind, fresh: Any
) -> None:
    """Note to which kind two operands of different kinds are converted, and the kernel."""
    key = _key_of_mixed(*args[:2])
    if key is None or plan.attributes or len(plan.inputs) != 2:
        return
    x, y = plan.inputs
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x._kind is y._kind and (
        x._kind.device is key[0].device is key[1].device
    ):
        op.mixed[key] = (x._kind, fresh, kind, args[2:])


def _run_mixed(op: Op, args: tuple[Any, ...]) -> Any:
    """The result for operands of two kinds that have met before, else NotImplemented."""
    a, b = args[:2]
    known = op.mixed.get(_key_of_mixed(a, b))
    if known is None or known[3] != args[2:]:
        return NotImplemented
    meeting, fresh, kind, _ = known
    native = fresh(
        (a if a._kind is meeting else convert(a, meeting)).native(),
        (b if b._kind is meeting else convert(b, meeting)).native())
    return native if native is NotImplemented else from_native(kind, native)


def _are_of_kind(kind: Kind, operands: Sequence[Any]) -> bool:
    """Whether all are tensors of one kind, or numbers that leave it as it is."""
    category = kind.dtype.category
    for x in operands:
        if isinstance(x, Tensor):
            if x._kind is not kind:
                return False
        elif not (
            (x.__class__ is int and category in (1, 2)) or (x.__class__ is float and category == 2)
        ):
            return False
    return True


ELEMENTWISE: Final = ("unary", "binary", "reduction")
"""Templates whose fast path serves composites too: the kind of the result follows from that of
the inputs, and a kernel that took some inputs of a kind takes all."""


def _run_override(op: Op, args: tuple[Any, ...], place: Any) -> Any:
    """A backend's fused kernel for a composite, or NotImplemented."""
    backend = kind_of(place.device, place.dtype).backend
    kernels = backend.kernels
    fresh = kernels.fresh.get(op.name)
    kernel = None if fresh is not None else kernels.out.get(op.name)
    if fresh is None and kernel is None:
        return NotImplemented
    for t in tensors_of(op, args):
        if t._kind.device is not place.device:
            return NotImplemented
    inputs = [args[i] for i in op.schema.tensor_positions]
    attributes = {name: args[i] for i, name in op.schema.attributes}
    if fresh is not None:
        natives = natives_of(inputs)
        native = fresh(*natives, **attributes)
        result = _adopt_results(backend, place.device, native)
        if op.template in ELEMENTWISE and isinstance(result, Tensor) and (
            attributes.get("dtype") is None
            and (op.is_differentiable or not result._kind.is_differentiable)
            and isinstance(inputs[0], Tensor) and _are_of_kind(place, inputs)
            and backend.dtype_of(natives[0]) is place.dtype
        ):
            op.fast[place] = (fresh, result._kind)
        return result
    from flambeau.meta import results_of

    assert kernel is not None
    outs = tuple(
        empty(kind_of(place.device, r.dtype), layout_of(r)) for r in results_of(op, args)
    )
    out_natives: Any = tuple(t.native() for t in outs)
    out_natives = out_natives if len(outs) > 1 else out_natives[0]
    if kernel(out_natives, *natives_of(inputs), **attributes) is NotImplemented:
        return NotImplemented
    return outs if len(outs) > 1 else outs[0]


def _adopt_results(backend: Any, where: Any, native: Any) -> Any:
    if native is NotImplemented:
        return NotImplemented
    if isinstance(native, tuple):
        return tuple(_adopt_results(backend, where, n) for n in native)
    if native is None:
        return None
    return from_native(kind_of(where, backend.dtype_of(native)), native)


def _describe(t: Any) -> str:
    if isinstance(t, Tensor):
        return f"{t.dtype.name}{list(t.shape)}"
    return repr(t)


# ---- devices -----------------------------------------------------------------------------------
def device_of(op: Op, args: tuple[Any, ...]) -> Kind | None:
    """The kind of the first tensor argument that is not a 0-d tensor on the CPU, else any."""
    found: Kind | None = None
    for t in tensors_of(op, args):
        if t._kind.device is not CPU or t.ndim:
            return t._kind
        found = found or t._kind
    return found


def _on_one_device(op: Op, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Move 0-d CPU tensors to the device of the others.

    Raises:
        RuntimeError: if two other devices meet.
    """
    devices = {t._kind.device for t in tensors_of(op, args)}
    if len(devices) <= 1 or op.name == "copy":  # whose rule moves the source itself
        return args
    kind = device_of(op, args)
    assert kind is not None
    moved = []
    for value in args:
        if isinstance(value, Tensor) and value._kind.device is not kind.device:
            if value._kind.device is not CPU or value.ndim or op.template == "general":
                raise RuntimeError(
                    f"{op.name}: Expected all tensors to be on the same device, but found at least "
                    f"two devices, {kind.device} and {value._kind.device}! Move one of them with "
                    f'.to("{kind.device}").'
                )
            value = move(value, kind_of(kind.device, value.dtype))
        moved.append(value)
    return tuple(moved)


def _plan_device(plan: Plan) -> Any:
    for t in plan.inputs:
        if isinstance(t, Tensor):
            return t._kind.device
    assert plan.device is not None
    return plan.device


# ---- memory ------------------------------------------------------------------------------------
def layout_of(result: Result) -> Layout:
    """The layout of a new tensor for a result."""
    if result.strides is None:
        return Layout.contiguous(result.shape)
    return Layout.of(result.shape, result.strides)


def empty(kind: Kind, layout: Layout) -> Tensor:
    """An uninitialised tensor with memory of its own."""
    nbytes = layout.span() * kind.dtype.itemsize
    return from_storage(kind, Storage.allocate(kind.device, kind.backend, nbytes), layout)


def full(kind: Kind, shape: Sequence[int], value: Any) -> Tensor:
    """A row-major tensor filled with a number."""
    fresh = kind.backend.kernels.fresh.get("fill")
    if fresh is not None:
        return from_native(kind, fresh(tuple(shape), kind.dtype, value=value))
    out = empty(kind, Layout.contiguous(shape))
    fill(out, value)
    return out


def fill(out: Tensor, value: Any) -> None:
    """Write a number to every element; does not count as a modification."""
    kernel = out._kind.backend.kernels.out.get("fill")
    if kernel is None:
        raise MissingKernelError("fill", out._kind.device.type)
    kernel(out.native(), value=value)


def raw_copy(out: Tensor, source: Tensor) -> None:
    """Convert and copy elements between tensors of one shape and device, below autograd."""
    kernel = out._kind.backend.kernels.out.get("copy")
    if kernel is None:
        raise MissingKernelError("copy", out._kind.device.type)
    kernel(out.native(), source.native())


def contiguous(t: Tensor) -> Tensor:
    """The tensor itself if it is row-major, else a row-major copy (below autograd)."""
    if t.layout_().is_contiguous:
        return t
    return convert(t, t._kind, Layout.contiguous(t.shape))


def convert(t: Tensor, kind: Kind, layout: Layout | None = None) -> Tensor:
    """A copy with another dtype, device or memory order, below autograd.

    Args:
        layout: of the copy; if None, the memory order of a dense source is kept.
    """
    if kind.device is not t._kind.device:
        return move(t, kind, layout)
    if layout is None:
        layout = dense_layout_like(t.layout_())
    if layout is t._layout and layout.is_contiguous:
        fresh = kind.backend.kernels.fresh.get("to_copy")
        native = NotImplemented if fresh is None else fresh(t.native(), dtype=kind.dtype)
        if native is not NotImplemented:
            return from_native(kind, native)
    out = empty(kind, layout)
    raw_copy(out, t)
    return out


def dense_layout_like(layout: Layout) -> Layout:
    """The memory order of a dense layout, or row-major."""
    if layout.is_contiguous or not layout.is_dense():
        return Layout.contiguous(layout.shape)
    return Layout.of(layout.shape, layout.strides)


def move(t: Tensor, kind: Kind, layout: Layout | None = None) -> Tensor:
    """A copy on another device: converted where fewer bytes travel, memory order kept."""
    source = t._kind
    if kind.dtype is not source.dtype and kind.dtype.itemsize < source.dtype.itemsize:
        t = convert(t, kind_of(source.device, kind.dtype))
    held = t.layout_()
    if not held.is_dense():
        t = convert(t, t._kind, Layout.contiguous(t.shape))
        held = t.layout_()
    there = kind_of(kind.device, t.dtype)
    out = empty(there, Layout.of(held.shape, held.strides))
    nbytes = held.numel * t.dtype.itemsize
    if nbytes and source.device.type != "meta" and kind.device.type != "meta":
        storage, target = t.storage_(), out.storage_()
        data = source.backend.copy_out(
            storage.buffer, held.offset * t.dtype.itemsize, nbytes, source.device.index or 0
        )
        there.backend.copy_in(target.buffer, 0, memoryview(data), kind.device.index or 0)
    elif nbytes and source.device.type == "meta":
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    if there is not kind or (layout is not None and layout != out.layout_()):
        return convert(out, kind, layout)
    return out


# ---- views -------------------------------------------------------------------------------------
def call_view(op: Op, t: Any, arguments: tuple[Any, ...]) -> Tensor:
    """Run a view op: another layout over the same storage."""
    if ACTIVE or OVERRIDING:
        handled = modes.intercept(op, (t, *arguments))
        if handled is not NotImplemented:
            result: Tensor = handled
            return result
    if not isinstance(t, Tensor):
        check_arguments(op, (t, *arguments))
    try:
        layout = apply_view_rule(op, t.layout_(), arguments)
    except (TypeError, AttributeError):
        check_arguments(op, (t, *arguments))
        raise
    out = from_storage(t._kind, t.storage_(), layout)
    base = t if t._base is None else t._base
    if not base._requires_grad:
        out._base, out._seen = base, out._storage.version  # type: ignore[union-attr]
    elif MODE.enabled and edge_of(t) is not None:
        attach(op, record(op, (t, *arguments), (out,)), (out,))
        out._base, out._seen = base, out._storage.version  # type: ignore[union-attr]
    return out


# ---- out= --------------------------------------------------------------------------------------
def call_out(op: Op, args: tuple[Any, ...], out: Any) -> Any:
    """Run an op and write its results to tensors that the caller gives."""
    targets = tuple(out) if isinstance(out, (tuple, list)) else (out,)
    for target in targets:
        if not isinstance(target, Tensor):
            raise TypeError(
                f"{op.name}(): argument 'out' must be Tensor, not {type(target).__name__}"
            )
    if MODE.enabled and (
        any_requires_grad(op, args) or any(t.requires_grad for t in targets)
    ):
        raise RuntimeError(
            f"{op.name}(): functions with out=... arguments don't support automatic "
            "differentiation, but one of the arguments requires grad."
        )
    results = call(op, args)
    several = isinstance(results, (tuple, list))
    results_tuple = tuple(results) if several else (results,)
    if len(results_tuple) != len(targets):
        raise TypeError(f"{op.name}() expected {len(results_tuple)} tensors in 'out'")
    for target, result in zip(targets, results_tuple, strict=True):
        _write_out(op, target, result)
    return type(results)(targets) if type(results) is tuple else (
        results._replace(**dict(zip(results._fields, targets, strict=True)))
        if several and hasattr(results, "_fields") else (targets if several else targets[0])
    )


def _write_out(op: Op, target: Tensor, result: Tensor) -> None:
    if target._kind.device is not result._kind.device:
        raise RuntimeError(
            f"{op.name}: Expected out tensor to have device {result.device}, but got "
            f"{target.device} instead"
        )
    if not can_cast(result.dtype, target.dtype):
        raise RuntimeError(
            f"{op.name}: result type {result.dtype} can't be cast to the desired output type "
            f"{target.dtype}"
        )
    if target.layout_().overlaps_itself():
        raise RuntimeError(OVERLAP)
    if target.shape != result.shape:
        resize_out(op, target, result)
    raw_copy(target, result)
    target.storage_().version += 1


OVERLAP = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    "memory location. Please clone() the tensor before performing the operation."
)


def resize_out(op: Op, target: Tensor, result: Tensor) -> None:
    """Give an ``out=`` tensor the result's shape, with a warning if it held elements."""
    if target.numel():

        warn(
            f"An output with one or more elements was resized since it had shape "
            f"{list(target.shape)}, which does not match the required output shape "
            f"{list(result.shape)} of {op.name}. Resize it to zero elements first, with "
            "out.resize_(0).")
    resize(target, result.shape)


def resize(t: Tensor, shape: Sequence[int]) -> None:
    """Change the shape in place to a row-major one, growing the storage if need be."""
    layout = Layout.of(shape, contiguous_strides(shape), t.storage_offset())
    storage = t.storage_()
    needed = layout.span() * t.dtype.itemsize
    if needed > storage.nbytes:
        grown = Storage.allocate(storage.device, storage.backend, needed)
        if storage.nbytes:
            storage.backend.copy_device(
                grown.buffer, 0, storage.buffer, 0, storage.nbytes, storage.device.index or 0
            )
        storage.buffer, storage.nbytes = grown.buffer, needed
    t._layout, t._native = layout, None
