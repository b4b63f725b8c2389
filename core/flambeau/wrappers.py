"""Public functions built from schemas, as dataclasses build ``__init__``.

One function serves as function, method and operator.  For elementwise ops and reductions it
holds the whole fast path (same kind of inputs, no mode): one Python frame from the caller to
the kernel.  Everything else, and every error, goes to :mod:`flambeau.dispatch`, which checks.
"""

from __future__ import annotations

import builtins
import importlib
import keyword
import types
from collections.abc import Callable
from typing import Any, Final

from flambeau import compiled, dispatch, modes
from flambeau.autograd import inplace, node
from flambeau.autograd.grad_mode import MODE
from flambeau.fields import NodeFields, TensorFields
from flambeau.registry import OPS, Op, apply_view_rule
from flambeau.schema import Argument
from flambeau.tensor import Tensor
from flambeau.typecheck import NUMBERS

AUGMENTED: Final = (
    "__add__", "__sub__", "__mul__", "__truediv__", "__floordiv__", "__mod__", "__pow__",
    "__and__", "__or__", "__xor__", "__lshift__", "__rshift__",
)
NUMPY_NAMES: Final = {"axis": "dim", "keepdims": "keepdim"}

_MAKE: Final = """
        out_ = new(Tensor)
        out_._native, out_._kind = native, kind
        out_._storage = out_._layout = out_._base = out_._fn = out_._grad = out_._extra = None
        out_._seen = 0
"""


def build(op: Op) -> None:
    """Make the functions, the node class and the Tensor methods of an op."""
    if op.is_differentiable:
        title = "".join(word.capitalize() for word in op.name.split("_"))
        lists = any(
            s.source == "argument" and op.schema.arguments[s.position].is_list
            and op.schema.arguments[s.position].is_tensor for s in node.saved_slots(op))
        members = {
            "__slots__": (), "op": op, "__module__": "flambeau.autograd", "saves_lists": lists}
        op.node_class = type(f"{title}Backward0", (node.OpNode,), members)
    texts = sources(op)
    made = _compiled(op)
    op.function = made.get("function") or _deferred(op, op.name, texts["function"])
    for method in op.methods:
        function = op.function
        if method.startswith("__") and "operator" in texts:
            function = made.get("operator") or _deferred(op, op.name, texts["operator"])
        setattr(Tensor, method, function)
    if op.inplace:
        op.inplace_function = made.get("inplace") or _deferred(
            op, f"{op.name}_", texts["inplace"])
        for method in op.methods:  # __add__ brings __iadd__, __radd__ does not
            if method in AUGMENTED:
                setattr(Tensor, f"__i{method[2:]}", op.inplace_function)
            elif not method.startswith("__"):
                setattr(Tensor, f"{method}_", op.inplace_function)


def sources(op: Op) -> dict[str, Callable[[], str]]:
    """What writes the texts of an op's functions: "function", "operator", "inplace", "backward"."""
    template = _TEMPLATES.get(op.template, _general)
    texts: dict[str, Callable[[], str]] = {"function": lambda: template(op)}
    if len(op.schema.tensor_positions) == 2 and any(m.startswith("__") for m in op.methods):
        texts["operator"] = lambda: template(op).replace("  return call(", "  return operate(")
    if op.inplace:
        texts["inplace"] = lambda: _inplace(op)
    if _has_written_backward(op):
        texts["backward"] = lambda: _backward(op)
    elif op.joint is not None and op.template in _JOINT_BACKWARDS:
        texts["backward"] = lambda: _JOINT_BACKWARDS[op.template](op)
    return texts


def facts(op: Op) -> str:
    """All that the texts of an op's functions follow from."""
    saved = {target: [s.name for s in slots] for target, slots in op.saved.items()}
    return repr((
        op.schema.text, op.template, op.out, op.inplace, [m for m in op.methods if "__" in m],
        sorted(op.derivatives), op.joint is None, saved, op.differentiable_outputs))


def _compiled(op: Op) -> dict[str, Any]:
    """The functions of an op from the compiled core, if it is used and knows this op."""
    if not compiled.IS_USED:
        return {}
    known = facts(op)
    made: dict[str, Any] = next(filter(None, (
        importlib.import_module(f"flambeau.{name}").bind(op, known)
        for name in compiled.FUNCTIONS)), {})
    backward = made.pop("backward", None)
    if backward is not None:
        op.node_class.backward = backward
    for function in made.values():
        function.op, function.__doc__ = op, f"{op.schema.text}\n\n{op.doc}"
        function.__qualname__ = function.__name__
        function.__module__ = f"flambeau.ops.{op.family}"
    return made


def _deferred(op: Op, name: str, source: Callable[[], str]) -> Any:
    """A function whose source is compiled when it is first called.

    Compiling hundreds of functions would be most of the time of ``import flambeau``.  The function
    object stays the same and exchanges its code, so whoever holds it already has the real one.
    """
    scope: dict[str, Any] = {"__name__": f"flambeau.ops.{op.family}", "__builtins__": builtins}
    function: Any = types.FunctionType(_first_call.__code__, scope, name)
    function.__qualname__ = name
    scope["compile_now"] = lambda: _compile(op, function, source())
    scope["this_function"] = function
    function.op, function.__doc__ = op, f"{op.schema.text}\n\n{op.doc}"
    return function


def _first_call(*args: Any, **kwargs: Any) -> Any:
    compile_now()  # type: ignore[name-defined]  # noqa: F821
    return this_function(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821


def _compile(op: Op, function: Any, source: str) -> None:
    """Give a function the code of a source; its globals are what the source refers to."""
    if op.is_differentiable and "backward" not in vars(op.node_class):
        _write_backward(op)
    scope = function.__globals__
    scope.update({
        "OP": op, "FAST": op.fast, "FAST_INPLACE": op.fast_inplace,
        "FAST_MUL": OPS["mul"].fast if "mul" in OPS else {}, "ACTIVE": modes.ACTIVE,
        "MODE": MODE, "Tensor": Tensor, "new": TensorFields.__new__, "new_node": NodeFields.__new__,
        "call": dispatch.call,
        "operate": operate, "call_out": dispatch.call_out, "call_view": dispatch.call_view,
        "call_inplace": inplace.call_inplace, "save_output": node.save_output,
        "Node": op.node_class, "view_of": apply_view_rule, "renamed": renamed,
        "DEFAULTS": [a.default for a in op.schema.arguments],
    })
    exec(compile(source, f"<flambeau {function.__name__}>", "exec"), scope)
    real = scope[function.__name__]
    function.__defaults__, function.__kwdefaults__ = real.__defaults__, real.__kwdefaults__
    function.__code__ = real.__code__


def operate(op: Op, args: tuple[Any, ...]) -> Any:
    """A call by a Python operator: what is no operand is left to the other side's method."""
    if not isinstance(args[1], (Tensor, *NUMBERS)):
        return NotImplemented
    return dispatch.call(op, args)


def renamed(op: Op, args: tuple[Any, ...], other: dict[str, Any]) -> tuple[Any, ...]:
    """Arguments given by NumPy's names (``axis``, ``keepdims``) put in their places.

    Raises:
        TypeError: for a name that is neither PyTorch's nor NumPy's.
    """
    values = list(args)
    places = {a.name: i for i, a in enumerate(op.schema.arguments)}
    for name, value in other.items():
        at = places.get(NUMPY_NAMES.get(name, name))
        if at is None:
            raise TypeError(
                f"{op.name}() got an unexpected keyword argument '{name}'; "
                f"its signature is {op.schema.text}"
            )
        values[at] = value
    return tuple(values)


# ---- signatures --------------------------------------------------------------------------------
def _public(argument: Argument) -> str:
    name = "input" if argument.name == "self" else argument.name
    return name + "_" if keyword.iskeyword(name) else name


def _signature(op: Op, out: bool) -> str:
    parts, starred = [], False
    for i, argument in enumerate(op.schema.arguments):
        name = _public(argument)
        if argument.is_rest:
            parts.append(f"*{name}")
            starred = True
            continue
        if argument.keyword_only and not starred:
            parts.append("*")
            starred = True
        parts.append(f"{name}=DEFAULTS[{i}]" if argument.has_default else name)
    if out and op.out:
        parts += ([] if starred else ["*"]) + ["out=None"]
    if _has_numpy_names(op) or any(a.is_rest for a in op.schema.arguments):
        parts.append("**other_")
    return ", ".join(parts)


def _has_numpy_names(op: Op) -> bool:
    return any(a.name == "dim" for a in op.schema.arguments)


def _arguments(op: Op) -> str:
    return "(" + "".join(f"{_public(a)}, " for a in op.schema.arguments) + ")"


def _prologue(op: Op) -> str:
    """Statements that bring varargs and NumPy's names into their places."""
    lines = []
    for a in op.schema.arguments:
        if a.is_rest:
            name = _public(a)
            lines.append(
                f"    if len({name}) == 1 and not isinstance({name}[0], int): "
                f"{name} = {name}[0]"
            )
            if a.has_default:
                lines.append(f"    if {name} == (): {name} = DEFAULTS[-1]")
    if _has_numpy_names(op) or any(a.is_rest for a in op.schema.arguments):
        names = _arguments(op)
        lines.append(f"    if other_: {names} = renamed(OP, {names}, other_)")
    return "\n".join(lines) + "\n" if lines else ""


# ---- templates ---------------------------------------------------------------------------------
def _general(op: Op) -> str:
    arguments = _arguments(op)
    out = f"    if out is not None: return call_out(OP, {arguments}, out)\n" if op.out else ""
    return (
        f"def {op.name}({_signature(op, out=True)}):\n{_prologue(op)}{out}"
        f"    return call(OP, {arguments})\n"
    )


def _view(op: Op) -> str:
    first, *rest = (_public(a) for a in op.schema.arguments)
    arguments = "(" + "".join(f"{name}, " for name in rest) + ")"
    prologue = _indent(_prologue(op), -2)
    return f"""
def {op.name}({_signature(op, out=False)}):
{prologue}
  try:
    if not ACTIVE:
      base = {first}._plain
      root = {first} if base is None else base
      if root._requires_grad and base is not None: {first}._refresh_history()
      held = {first}._layout or {first}.layout_()
      layout = held.memo.get(("{op.name}", {arguments}))
      if layout is None:
        layout = view_of(OP, held, {arguments})
      elif held.offset:
        layout = layout.at(held.offset + layout.offset)
      out_ = new(Tensor)
      out_._native, out_._kind, out_._layout = None, {first}._kind, layout
      out_._storage = storage = {first}._storage
      out_._grad = out_._extra = None
      if root._requires_grad:
        if MODE.enabled and {first}._requires_grad:
          kind = {first}._kind
{_record(op, (first,), "layout.shape")}
          out_._base, out_._seen = root, storage.version
        else:
          out_._requires_grad, out_._fn = False, None
          out_._base, out_._seen = None, 0
      else:
        out_._requires_grad, out_._fn = False, None
        out_._base, out_._seen = root, storage.version
      return out_
  except (TypeError, AttributeError):
    pass
  return call_view(OP, {first}, {arguments})
"""


def _unary(op: Op) -> str:
    arguments = _arguments(op)
    return f"""
def {op.name}({_signature(op, out=True)}):
  try:
    if {_plain(op)}not ACTIVE and ({_current("input")}):
      entry = FAST.get(input._kind)
      if entry is not None:
        fresh, kind = entry
        native = input._native
        native = fresh(native if native is not None else input.native())
        if native is NotImplemented: raise TypeError
{_MAKE}
        if input._requires_grad and MODE.enabled:
{_record(op, ("input",))}
        else:
          out_._requires_grad = False
        return out_
  except Exception:
    pass
{_slow(op, arguments)}"""


def _binary(op: Op) -> str:
    a, b = (_public(x) for x in op.schema.arguments[:2])
    arguments = _arguments(op)
    return f"""
def {op.name}({_signature(op, out=True)}):
  try:
    if {_plain(op)}not ACTIVE:
      if isinstance({b}, Tensor):
        entry = FAST.get({a}._kind) if {a}._kind is {b}._kind else None
        if entry is not None and ({_current(a)}) and ({_current(b)}):
          fresh, kind = entry
          x, y = {a}._native, {b}._native
          native = fresh(x if x is not None else {a}.native(),
                         y if y is not None else {b}.native())
          if native is NotImplemented: raise TypeError
{_indent(_MAKE)}
          if ({a}._requires_grad or {b}._requires_grad) and MODE.enabled:
{_indent(_record(op, (a, b)))}
          else:
            out_._requires_grad = False
          return out_
      elif {_is_number(op, b)}:
        kind = {a}._kind
        entry = FAST.get(kind)
        category = kind.dtype.category if kind.dtype.itemsize > 2 else 0  # NumPy widens bfloat16
        if entry is not None and (
            category == 2 or (category == 1 and {b}.__class__ is int)) and ({_current(a)}):
          fresh, kind = entry
          native = {a}._native
          native = fresh(native if native is not None else {a}.native(), {b})
          if native is NotImplemented: raise TypeError
{_indent(_MAKE)}
          if {a}._requires_grad and MODE.enabled:
{_indent(_record(op, (a,), number=b))}
          else:
            out_._requires_grad = False
          return out_
  except Exception:
    pass
{_slow(op, arguments)}"""


def _is_number(op: Op, b: str) -> str:
    """The condition that the second operand is a number, where the op takes numbers."""
    if op.schema.arguments[1].type != "Operand":
        return "False"
    return f"{b}.__class__ is float or {b}.__class__ is int"


def _reduction(op: Op) -> str:
    arguments = _arguments(op)
    extra = [_public(a) for a in op.schema.arguments[3:]]
    plain = "".join(f"{name} is None and " for name in extra) + ("out is None and " * op.out)
    return f"""
def {op.name}({_signature(op, out=True)}):
{_indent(_prologue(op), -2)}
  try:
    if {plain}not ACTIVE and ({_current("input")}) and (
        dim is None or dim.__class__ is int):
      entry = FAST.get(input._kind)
      if entry is not None:
        fresh, kind = entry
        native = input._native
        if native is None: native = input.native()
        if dim is None:
          native = fresh(native, dim=None, keepdim=keepdim)
        else:
          at = dim if dim >= 0 else dim + len(native.shape)
          if at < 0: raise IndexError
          native = fresh(native, dim=(at,), keepdim=keepdim)
        if native is NotImplemented: raise TypeError
{_MAKE}
        if input._requires_grad and MODE.enabled:
{_record(op, ("input",))}
        else:
          out_._requires_grad = False
        return out_
  except Exception:
    pass
{_slow(op, arguments)}"""


def _current(t: str) -> str:
    """The condition that a tensor is no view whose history a write through another has outdated."""
    return (f"{t}._plain is None or not {t}._base._requires_grad or "
            f"{t}._seen == {t}._storage.version")


def _slow(op: Op, arguments: str) -> str:
    out = f"  if out is not None: return call_out(OP, {arguments}, out)\n" if op.out else ""
    return f"{out}  return call(OP, {arguments})\n"


def _plain(op: Op) -> str:
    """Conditions for the fast path: no ``out=``, other arguments at their defaults."""
    tensors = len(op.schema.tensor_positions)
    conditions = ["out is None"] if op.out else []
    conditions += [f"{_public(a)} == {a.default!r}" for a in op.schema.arguments[tensors:]]
    return "".join(f"{c} and " for c in conditions)


def _indent(text: str, by: int = 2) -> str:
    if by < 0:
        return "\n".join(line[-by:] for line in text.split("\n"))
    return "\n".join(" " * by + line if line.strip() else line for line in text.split("\n"))


def _record(
    op: Op, tensors: tuple[str, ...], shape: str = "native.shape", number: str | None = None
) -> str:
    """Statements that make the node of a call of these tensor arguments.

    Args:
        shape: what gives the shape of the result.
        number: the last operand, if it is none of the tensors.
    """
    if not op.is_differentiable:
        return "          out_._requires_grad = False"
    saved, versions, wanted = [], [], ""
    positions = {a.name: _public(a) for a in op.schema.arguments}
    for slot in node.saved_slots(op):
        users = [
            positions[t] for t, needs in op.saved.items()
            if slot in needs and positions[t] != number]
        needed = " or ".join(f"{u}._requires_grad" for u in users)
        if slot.source == "output":
            saved.append("kept" if users else "None")
            versions.append("-1 if kept is None else kept._storage.version" if users else "-1")
            wanted = needed
            continue
        argument = op.schema.arguments[slot.position]
        name = _public(argument)
        if slot.source in ("shape", "dtype"):
            nothing = "()" if slot.source == "shape" else "None"
            saved.append(nothing if name == number else f"{name}.{slot.source}")
            versions.append("-1")
        elif name == number:
            saved.append(name)
            versions.append("-1")
        elif not users:
            saved.append("None")
            versions.append("-1")
        elif argument.is_tensor:
            saved.append(f"{name} if {needed} else None")
            versions.append(
                f"(0 if {name}._storage is None else {name}._storage.version)"
                f" if {needed} else -1"
            )
        else:
            saved.append(name)
            versions.append("-1")
    edges = ", ".join(
        [f"({t}._fn or {t}) if {t}._requires_grad else None" for t in tensors]
        + ["None"] * (number is not None))
    keep = f"          kept = save_output(out_) if {wanted} else None\n" if "kept" in saved else ""
    return f"""{keep}          node = new_node(Node)
          node.edges = ({edges},)
          node.saved = ({"".join(s + ", " for s in saved)})
          node.versions = ({"".join(v + ", " for v in versions)})
          node.kind, node.shape, node.hooks = kind, {shape}, None
          out_._requires_grad, out_._fn = True, node"""


def _inplace(op: Op) -> str:
    name, arguments = f"{op.name}_", _arguments(op)
    head = f"def {name}({_signature(op, out=False)}):\n"
    slow = f"  return call_inplace(OP, {arguments})\n"
    prologue = _indent(_prologue(op), -2)
    if op.template != "binary":
        return f"{head}{prologue}\n{slow}"
    a, b = (_public(x) for x in op.schema.arguments[:2])
    plain, scale = _plain(op).replace("out is None and ", ""), ""
    if "alpha == 1 and " in plain:
        plain = plain.replace("alpha == 1 and ", "")
        scale = """
        if alpha != 1 and y is not None:
          plain = alpha.__class__ is float and kind.dtype.category == 2 and kind.dtype.itemsize > 2
          y = FAST_MUL[kind][0](y, alpha) if plain else None"""
    return f"""{head}
  try:
    if {plain}not ACTIVE and (({a}._plain is None or not {a}._base._requires_grad) and (
        not {a}._requires_grad) or not MODE.enabled):
      kind = {a}._kind
      kernel, storage = FAST_INPLACE.get(kind), {a}._storage or {a}.storage_()
      if kernel is not None and {a}._layout.is_contiguous:
        y = None
        if isinstance({b}, Tensor):
          if {b}._kind is kind and {b}._storage is not storage and (
              ({b}._plain is None or not {b}._base._requires_grad) and (
              not {b}._requires_grad) or not MODE.enabled):
            y = {b}._native
            if y is None: y = {b}.native()
        elif kind.dtype.itemsize > 2 and kind.dtype.category == 2 and ({_is_number(op, b)}):
          y = float({b})
        elif kind.dtype.category == 1 and {b}.__class__ is int and ({_is_number(op, b)}):
          y = {b}{scale}
        if y is not None:
          native = {a}._native
          if native is None: native = {a}.native()
          if kernel(native, native, y) is not NotImplemented:
            storage.version += 1
            return {a}
  except Exception:
    pass
{slow}"""


_TEMPLATES: Final = {
    "unary": _unary, "binary": _binary, "reduction": _reduction, "view": _view,
}
_JOINT_BACKWARDS: Final[dict[str, Callable[[Op], str]]] = {}
"""Per template: what writes ``backward`` for a joint rule."""


# ---- backward ----------------------------------------------------------------------------------
def _write_backward(op: Op) -> None:
    """Give the node class of an op a ``backward`` written out for its derivatives."""
    if _has_written_backward(op):
        scope: dict[str, Any] = {"FREED": node.FREED}
        for name, rule in op.derivatives.items():
            scope[f"rule_{name}"] = rule
        exec(compile(_backward(op), f"<flambeau {op.name} backward>", "exec"), scope)
        op.node_class.backward = scope["backward"]


def _has_written_backward(op: Op) -> bool:
    lists = any(op.schema.arguments[i].is_list for i in op.schema.tensor_positions)
    return bool(op.derivatives) and op.joint is None and not lists and (
        len(op.differentiable_outputs) == 1)


def _backward(op: Op) -> str:
    slots = node.saved_slots(op)
    lines = ["def backward(node, g):", "  edges = node.edges"]
    if slots:
        lines += [
            "  if node.saved is None: raise RuntimeError(FREED)",
            f"  {''.join(f'saved_{s.name}, ' for s in slots)} = node.saved",
        ]
    for i, slot in enumerate(slots):
        if slot.source == "output":
            lines += [
                f"  if saved_{slot.name} is not None:",
                f"    if saved_{slot.name}._storage.version != node.versions[{i}]:",
                f"      node._complain(saved_{slot.name}, node.versions[{i}])",
                f"    saved_{slot.name} = node._as_output(saved_{slot.name}, {slot.position})",
            ]
        elif slot.source == "argument" and op.schema.arguments[slot.position].is_tensor:
            lines += [
                f"  if node.versions[{i}] >= 0:",
                f"    storage = saved_{slot.name}._storage",
                f"    if storage is not None and storage.version != node.versions[{i}]:",
                f"      node._complain(saved_{slot.name}, node.versions[{i}])",
            ]
    results = []
    for at, position in enumerate(op.schema.tensor_positions):
        name = op.schema.arguments[position].name
        if name not in op.derivatives:
            results.append("None")
            continue
        needs = "".join(f", saved_{s.name}" for s in op.saved[name])
        results.append(f"rule_{name}(g{needs}) if edges[{at}] is not None else None")
    return "\n".join([*lines, f"  return ({', '.join(results)},)"])
