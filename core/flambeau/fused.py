"""Call paths of composites: straight to a backend's fused kernel, or straight to the body.

``template="fused"`` fits a composite of one or more tensors with a ``joint`` derivative or none:
when the tensors are of the kinds of an earlier call and the backend has a fresh kernel of the op's
name, one Python frame leads from the caller to the kernel, as in :mod:`flambeau.wrappers` for
elementwise ops.
A kernel sees the arguments before anybody has checked them: it must decline what it does not
expect, so that the body can name the error.

``template="front"`` fits a composite that only arranges arguments for another op: its arguments
are checked when the body fails on them.

``template="list"`` fits a composite of a list of tensors, with a ``joint`` derivative or none: to
the backend's fresh kernel if they are all of one kind.

All leave every other case, and every error, to :mod:`flambeau.dispatch`.
"""

from __future__ import annotations

from typing import Any, Final

from flambeau import wrappers
from flambeau.autograd import node
from flambeau.registry import Op, Saved
from flambeau.schema import Argument
from flambeau.tensor import Tensor


def remember(op: Op, tensors: tuple[Any, ...], result: Any) -> None:
    """Note the kernel for the kinds of these tensors, and the kinds of what it returns.

    Optional tensors that were left out, and results that are None, are taken to be of the kind
    of the first tensor until a call shows another.
    """
    first = tensors[0]
    if not isinstance(first, Tensor):
        return
    kind = first._kind
    kernel = kind.backend.kernels.fresh.get(op.name)
    outs = result if isinstance(result, tuple) else (result,)
    if kernel is None or any(t is not None and t.device is not kind.device for t in tensors):
        return
    if len(op.schema.returns) == len(outs):
        given: Any = tuple(kind if t is None else t._kind for t in tensors[1:])
        made: Any = tuple(kind if t is None else t._kind for t in outs)
        op.fast[kind] = (kernel, (given, made))  # type: ignore[assignment]


RESERVED: Final = {
    "call", "entry", "given", "kernel", "kind", "made", "native", "new", "recorded", "result"}
"""Names that the generated function uses itself."""


def _fused(op: Op) -> str:
    tensors = [a for a in op.schema.arguments if a.is_tensor]
    names = [wrappers._public(a) for a in tensors]
    taken = RESERVED & {wrappers._public(a) for a in op.schema.arguments}
    if taken:
        raise ValueError(f"{op.name}: a fused op cannot have arguments named {sorted(taken)}")
    if op.is_differentiable:
        _give_backward(op)
    out = "out is None and " if op.out else ""
    slow_out = f"  if out is not None: return call_out(OP, {_all(op)}, out)\n" if op.out else ""
    return f"""
from flambeau.autograd.node import OutputOf
from flambeau.fused import remember
def {op.name}({wrappers._signature(op, out=True)}):
{wrappers._indent(wrappers._prologue(op), -2)}
  try:
    kind = {names[0]}._kind
    entry = FAST.get(kind)
    if entry is not None and {out}not ACTIVE:
     kernel, (given, made) = entry
     if {_conditions(tensors)}:
      recorded = ({_any_requires_grad(tensors)}) and MODE.enabled
{_decline_recording(op)}
      native = kernel({_kernel_arguments(op)})
      if native is not NotImplemented:
{_results(op)}
{_recording(op, tensors)}
        return result
  except Exception:
    pass
{slow_out}  result = call(OP, {_all(op)})
  if not ACTIVE: remember(OP, ({"".join(n + ", " for n in names)}), result)
  return result
"""


def _all(op: Op) -> str:
    return wrappers._arguments(op)


def _conditions(tensors: list[Argument]) -> str:
    """The kinds are those remembered, and no view has a history that a write has outdated."""
    parts = []
    for i, a in enumerate(tensors):
        name = wrappers._public(a)
        current = f"({name}._plain is None or {name}._seen == {name}._storage.version)"
        if i == 0:
            parts.append(current)
        elif a.is_optional:
            parts.append(f"({name} is None or ({name}._kind is given[{i - 1}] and {current}))")
        else:
            parts.append(f"{name}._kind is given[{i - 1}] and {current}")
    return " and ".join(parts)


def _any_requires_grad(tensors: list[Argument]) -> str:
    parts = []
    for a in tensors:
        name = wrappers._public(a)
        guard = f"{name} is not None and " if a.is_optional else ""
        parts.append(f"({guard}{name}._requires_grad)" if guard else f"{name}._requires_grad")
    return " or ".join(parts)


def _decline_recording(op: Op) -> str:
    if op.is_differentiable:
        return ""
    return f"      if recorded: return call(OP, {_all(op)})"


def _kernel_arguments(op: Op) -> str:
    inputs, attributes = [], []
    for a in op.schema.arguments:
        name = wrappers._public(a)
        if not a.is_tensor:
            attributes.append(f"{a.name}={name}")
            continue
        native = f"{name}._native if {name}._native is not None else {name}.native()"
        inputs.append(f"None if {name} is None else ({native})" if a.is_optional else native)
    return ", ".join([f"({i})" for i in inputs] + attributes)


_FIELDS = """{t} = new(Tensor)
{t}._native, {t}._kind = {native}, {kind}
{t}._storage = {t}._layout = {t}._base = {t}._fn = {t}._grad = {t}._extra = None
{t}._requires_grad, {t}._seen = False, 0
"""


def _results(op: Op) -> str:
    count = len(op.schema.returns)
    if count == 1:
        made = _FIELDS.format(t="out0_", native="native", kind="made[0]") + "result = out0_"
        return wrappers._indent(made, 8)
    lines = [f"{''.join(f'n{i}, ' for i in range(count))} = native"]
    for i in range(count):
        made = _FIELDS.format(t=f"out{i}_", native=f"n{i}", kind=f"made[{i}]")
        lines += [f"if n{i} is None: out{i}_ = None", "else:", wrappers._indent(made, 2)]
    lines.append(f"result = ({', '.join(f'out{i}_' for i in range(count))})")
    return wrappers._indent("\n".join(lines), 8)


def _recording(op: Op, tensors: list[Argument]) -> str:
    """Statements that make the node of a call."""
    if not op.is_differentiable:
        return ""
    at = op.differentiable_outputs[0]
    saved, versions, before = [], [], []
    for slot in node.saved_slots(op):
        value, version, statement = _saved(op, slot)
        saved.append(value)
        versions.append(version)
        before += statement
    edges = []
    for a in tensors:
        name = wrappers._public(a)
        guard = f"{name} is not None and " if a.is_optional else ""
        edges.append(f"({name}._fn or {name}) if {guard}{name}._requires_grad else None")
    lines = [
        "if recorded:", *(f"  {s}" for s in before),
        "  node_ = new_node(Node)",
        f"  node_.edges = ({''.join(e + ', ' for e in edges)})",
        f"  node_.saved = ({''.join(s + ', ' for s in saved)})",
        f"  node_.versions = ({''.join(v + ', ' for v in versions)})",
        f"  node_.kind, node_.shape, node_.hooks = out{at}_._kind, out{at}_._native.shape, None",
    ]
    several = len(op.differentiable_outputs) > 1
    for i in op.differentiable_outputs:
        end = f"OutputOf.make(node_, {i}, out{i}_)" if several else "node_"
        lines.append(f"  out{i}_._requires_grad, out{i}_._fn = True, {end}")
    return wrappers._indent("\n".join(lines), 8)


def _saved(op: Op, slot: Saved) -> tuple[str, str, list[str]]:
    """Source of a saved value, of its version, and statements to run before."""
    if slot.source == "output":
        out = f"out{slot.position}_"
        if slot.position in op.differentiable_outputs:
            kept = f"kept{slot.position}_"
            return kept, f"{kept}._storage.version", [f"{kept} = save_output({out})"]
        version = f"0 if {out} is None or {out}._storage is None else {out}._storage.version"
        return out, version, []  # no history, so no cycle: the tensor itself is saved
    argument = op.schema.arguments[slot.position]
    name = wrappers._public(argument)
    if slot.source in ("shape", "dtype"):
        return f"{name}.{slot.source}", "-1", []
    if argument.is_tensor:
        guard = f"-1 if {name} is None else " if argument.is_optional else ""
        return name, f"{guard}(0 if {name}._storage is None else {name}._storage.version)", []
    return name, "-1", []


# ---- backward ----------------------------------------------------------------------------------
def _give_backward(op: Op) -> None:
    """Write out ``backward`` of the node class for a joint rule."""
    if op.joint is None:
        raise ValueError(f"{op.name}: a fused op has a joint rule or no derivative of its own")
    scope: dict[str, Any] = {
        "FREED": node.FREED, "RULE": op.joint, "OUTPUTS": op.differentiable_outputs}
    exec(compile(_backward(op), f"<flambeau {op.name} backward>", "exec"), scope)
    op.node_class.backward = scope["backward"]


def _backward(op: Op) -> str:
    slots = node.saved_slots(op)
    edges = sum(a.is_tensor for a in op.schema.arguments)
    lines = ["def backward(node, g):", "  edges = node.edges"]
    if len(op.differentiable_outputs) > 1:  # None where no gradient came in
        lines.append("  g = tuple(map(g.get, OUTPUTS))")
    if slots:
        lines += [
            "  if node.saved is None: raise RuntimeError(FREED)",
            f"  {''.join(f'saved_{s.name}, ' for s in slots)} = node.saved",
            "  versions = node.versions",
        ]
    for i, slot in enumerate(slots):
        name = f"saved_{slot.name}"
        is_tensor = slot.source == "output" or (
            slot.source == "argument" and op.schema.arguments[slot.position].is_tensor)
        if not is_tensor:
            continue
        lines += [
            f"  if versions[{i}] >= 0 and {name} is not None and {name}._storage is not None and "
            f"{name}._storage.version != versions[{i}]:",
            f"    node._complain({name}, versions[{i}])",
        ]
        if slot.source == "output" and slot.position in op.differentiable_outputs:
            lines.append(f"  {name} = node._as_output({name})")
    needs = "".join(f"edges[{i}] is not None, " for i in range(edges))
    given = "".join(f", saved_{s.name}" for s in op.saved[""])
    lines.append(f"  return RULE(g, ({needs}){given})")
    return "\n".join(lines)


# ---- lists -------------------------------------------------------------------------------------
def _list(op: Op) -> str:
    tensors, *rest = (wrappers._public(a) for a in op.schema.arguments)
    out = "out is None and " if op.out else ""
    slow_out = f"  if out is not None: return call_out(OP, {_all(op)}, out)\n" if op.out else ""
    attributes = "".join(f", {name}={name}" for name in rest)
    return f"""
from flambeau.tensor import from_native
from flambeau.autograd.node import attach, record
def {op.name}({wrappers._signature(op, out=True)}):
{wrappers._indent(wrappers._prologue(op), -2)}
  try:
    if {out}not ACTIVE:
      kind = {tensors}[0]._kind
      kernel = kind.backend.kernels.fresh.get("{op.name}")
      if kernel is not None:
        natives_, recorded_ = [], False
        for t_ in {tensors}:
          if t_._kind is not kind: break
          if (t_._plain is not None and t_._base._requires_grad) or t_._requires_grad:
            recorded_ = MODE.enabled
          native_ = t_._native
          natives_.append(native_ if native_ is not None else t_.native())
        else:
          native_ = kernel(natives_{attributes})
          if native_ is not NotImplemented:
            out_ = from_native(kind, native_)
            if recorded_: attach(OP, record(OP, {_all(op)}, (out_,)), (out_,))
            return out_
  except Exception:
    pass
{slow_out}  return call(OP, {_all(op)})
"""


# ---- fronts ------------------------------------------------------------------------------------
def _front(op: Op) -> str:
    out = f"  if out is not None: return call_out(OP, {_all(op)}, out)\n" if op.out else ""
    given = ", ".join(wrappers._public(a) for a in op.schema.arguments)
    return f"""
from flambeau.modes import OVERRIDING
body_ = OP.decompose
def {op.name}({wrappers._signature(op, out=True)}):
{wrappers._indent(wrappers._prologue(op), -2)}{out}
  if not ACTIVE and (not OVERRIDING or OVERRIDING.isdisjoint(map(type, ({given},)))):
    try:
      return body_({given})
    except (TypeError, AttributeError):
      pass
  return call(OP, {_all(op)})
"""


wrappers._TEMPLATES.update(fused=_fused, front=_front, list=_list)
wrappers._JOINT_BACKWARDS["fused"] = _backward
