"""What tangent an op's result has: derived from what is known of the op.

- A view, or an op that is linear in some arguments, is applied to the tangents.
- The derivative of an elementwise real op multiplies by a number at each place, whether it is
  given a gradient or a tangent: the vjp is the jvp.
- Any other vjp is a linear map of the gradient; its transpose, which is its own vjp, is the jvp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flambeau import dispatch
from flambeau.autograd import engine
from flambeau.autograd.grad_mode import MODE, enable_grad
from flambeau.registry import Op
from flambeau.tensor import Tensor

TangentOf = Callable[[Any], Tensor | None]

_TOGETHER: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys((
        "sum", "cumsum", "mean", "neg", "gather", "to_copy", "index", "index_select", "flip",
        "roll", "repeat", "tril", "triu", "diag_embed", "fft_complex", "fft_half", "fft_real",
        "view_as_real", "view_as_complex", "unfold", "fold", "take", "masked_select",
    ), ("self", "input")),
    "cat": ("tensors",), "stack": ("tensors",), "copy": ("src",),
    "scatter_elements": ("self", "src"), "scatter_add": ("self", "src"),
    "select_scatter": ("self", "src"), "slice_scatter": ("self", "src"),
    "diagonal_scatter": ("self", "src"), "index_put": ("self", "values"),
    "index_copy": ("self", "source"), "masked_scatter": ("self", "source"),
    "add": ("self", "other"), "sub": ("self", "other"),
}
"""Arguments in which an op is linear, all of them changing at once."""

_ONE_BY_ONE: Final[dict[str, tuple[str, ...]]] = {
    "mul": ("self", "other"), "matmul": ("self", "other"), "true_divide": ("self",),
}
"""Arguments in each of which an op is linear, the others held."""


def run(op: Op, args: tuple[Any, ...]) -> Any:
    """Run an op as it stands."""
    if op.kind == "view":
        return dispatch.call_view(op, args[0], args[1:])
    return dispatch.call(op, args)


def pushed(
    op: Op, args: tuple[Any, ...], outs: tuple[Any, ...], tangent_of: TangentOf
) -> list[Tensor | None] | None:
    """The tangents of the outputs, None for zero; None at all if the op's derivative leaves out
    an argument that moves."""
    if op.kind == "view" and op.name != "as_strided_view":
        return [run(op, (tangent_of(args[0]), *args[1:]))]
    together = _TOGETHER.get(op.name)
    if together is not None:
        return [_linear(op, args, together, outs[0], tangent_of)]
    found = _one_by_one(op, args, outs, tangent_of)
    if found is None and op.name != "fill":
        found = _elementwise(op, args, outs, tangent_of)
    return _transposed(op, args, outs, tangent_of) if found is None else [found]


# ---- linear ------------------------------------------------------------------------------------
def _linear(
    op: Op, args: tuple[Any, ...], names: tuple[str, ...], out: Tensor, tangent_of: TangentOf
) -> Tensor | None:
    """The op on the tangents, zeros where there is none."""
    values, any_moves = [], False
    for argument, value in zip(op.schema.arguments, args, strict=True):
        if argument.name in names:
            several = value.__class__ in (list, tuple)
            along = [tangent_of(v) for v in value] if several else [tangent_of(value)]
            any_moves |= any(t is not None for t in along)
            zeros = [_zero(v) if t is None else t for v, t in zip(
                value if several else [value], along, strict=True)]
            value = zeros if several else zeros[0]
        values.append(value)
    return _fitting(run(op, tuple(values)), out) if any_moves else None


def _zero(value: Any) -> Any:
    return value.detach() * 0 if isinstance(value, Tensor) else 0


def _one_by_one(
    op: Op, args: tuple[Any, ...], outs: tuple[Any, ...], tangent_of: TangentOf
) -> Tensor | None:
    """The sum over the arguments; None unless only those listed move."""
    names = _ONE_BY_ONE.get(op.name, ())
    total: Tensor | None = None
    for i, argument in enumerate(op.schema.arguments):
        tangent = tangent_of(args[i]) if argument.is_tensor and not argument.is_list else None
        if tangent is None:
            continue
        if argument.name not in names:
            return None
        part = run(op, (*args[:i], tangent, *args[i + 1:]))
        total = part if total is None else total + part
    return None if total is None else _fitting(total, outs[0])


def _fitting(tangent: Tensor, out: Tensor) -> Tensor:
    """A tangent in the shape and dtype of what it belongs to."""
    if tangent._kind is not out._kind:
        tangent = tangent.to(device=out.device, dtype=out.dtype)
    return tangent if tangent.shape == out.shape else tangent.expand(out.shape)


# ---- elementwise -------------------------------------------------------------------------------
def _elementwise(
    op: Op, args: tuple[Any, ...], outs: tuple[Any, ...], tangent_of: TangentOf
) -> Tensor | None:
    """The derivatives given tangents for gradients; None if the op is not of that sort."""
    if (op.formula is None and op.template not in ("unary", "binary")) or op.joint is not None:
        return None
    if op.name == "matmul" or len(outs) != 1 or outs[0].dtype.is_complex or any(
        t.dtype.is_complex for t in dispatch.tensors_of(op, args)
    ):
        return None
    out, total = outs[0], None
    for i in op.schema.tensor_positions:
        tangent = tangent_of(args[i])
        rule = op.derivatives.get(op.schema.arguments[i].name)
        if tangent is None or rule is None:
            continue
        names = op.saved[op.schema.arguments[i].name]
        part = rule(_fitting(tangent, out), *[_saved(s, args, outs) for s in names])
        if part is None:
            continue
        if part.shape != out.shape:
            return None
        total = part if total is None else total + part
    return out.detach() * 0 if total is None else _fitting(total, out)


def _saved(slot: Any, args: tuple[Any, ...], outs: tuple[Any, ...]) -> Any:
    value = outs[slot.position] if slot.source == "output" else args[slot.position]
    if slot.source == "shape":
        return tuple(value.shape) if isinstance(value, Tensor) else ()
    if slot.source == "dtype":
        return value.dtype if isinstance(value, Tensor) else None
    return value


# ---- by transposition --------------------------------------------------------------------------
def _transposed(
    op: Op, args: tuple[Any, ...], outs: tuple[Any, ...], tangent_of: TangentOf
) -> list[Tensor | None] | None:
    """The vjp of the vjp, which is linear in the gradient that it is given."""
    places = [i for i in op.differentiable_outputs if outs[i] is not None]
    probes = {i: (outs[i].detach() * 0).requires_grad_() for i in places}
    inputs = _inputs(op, args)
    along = [tangent_of(t) for t in inputs]
    is_recorded = MODE.enabled and any(
        isinstance(t, Tensor) and t.requires_grad for t in (*inputs, *along))
    with enable_grad():
        grads = _gradients(op, args, outs, probes, [t is not None for t in along])
        if any(g is None and t is not None for g, t in zip(grads, along, strict=True)):
            return None
        pairs = [
            (_as_input(g, x), t) for g, x, t in zip(grads, inputs, along, strict=True)
            if g is not None and t is not None and g.requires_grad]
        found: Any = (None,) * len(places)
        if pairs:
            found = engine.grad(
                [g for g, _ in pairs], list(probes.values()),
                [_fitting(t, g) for g, t in pairs], create_graph=is_recorded, allow_unused=True)
    result: list[Tensor | None] = [None] * len(outs)
    for i, tangent in zip(places, found, strict=True):
        result[i] = tangent
    return result


def _inputs(op: Op, args: tuple[Any, ...]) -> list[Any]:
    """The tensors of the arguments in the order of a node's edges."""
    found: list[Any] = []
    for position in op.schema.tensor_positions:
        value = args[position]
        found += value if op.schema.arguments[position].is_list else [value]
    return found


def _as_input(g: Tensor, x: Tensor) -> Tensor:
    """A gradient in the shape and dtype of its tensor, as the engine would make it."""
    return g if g._kind is x._kind and g.shape == x.shape else engine._fit(g, x._kind, x.shape)


def _gradients(
    op: Op, args: tuple[Any, ...], outs: tuple[Any, ...], probes: dict[int, Tensor],
    needs: list[bool],
) -> list[Any]:
    """The op's vjp of the probes."""
    several = tuple(probes.get(i) for i in op.differentiable_outputs)
    g = several if len(several) > 1 else several[0]
    if op.joint is not None:
        return list(op.joint(g, tuple(needs), *[
            _saved(s, args, outs) for s in op.saved[""]]))
    found: list[Any] = []
    for position, need in zip(op.schema.tensor_positions, needs, strict=True):
        name = op.schema.arguments[position].name
        rule = op.derivatives.get(name)
        found.append(None if rule is None or not need else rule(
            g, *[_saved(s, args, outs) for s in op.saved[name]]))
    return found


__all__ = ["pushed", "run"]
