"""The functions that the call path builds from schemas, as Cython modules.

They are the texts that :mod:`flambeau.wrappers` and :mod:`flambeau.fused` write, with an op's
own objects in variables of C.  ``bind(op, facts)`` gives those of an op, or None if the op is not
the one that they were written for.
"""

from __future__ import annotations

import ast
import math
import re
from typing import Any, Final

from flambeau import fused, wrappers
from flambeau.compile_core.structures import STRUCTURES
from flambeau.compile_core.texts import with_casts
from flambeau.registry import Op, all_ops

TEMPLATES = ("unary", "binary", "reduction", "view", "fused", "list")

_HEAD = f"""
{"; ".join(f"from flambeau.{s.module} cimport {s.name}" for s in STRUCTURES)}
from flambeau.compiled_short cimport look_up, new_object
import math
from flambeau import dispatch, modes
from flambeau.autograd import inplace, node as nodes
from flambeau.autograd.grad_mode import MODE as _mode
from flambeau.registry import OPS as _OPS, apply_view_rule
from flambeau.tensor import Tensor as _Tensor, from_native as _from_native

cdef object MODE = _mode, Tensor = _Tensor, from_native = _from_native
cdef object call = dispatch.call, call_out = dispatch.call_out, call_view = dispatch.call_view
cdef object call_inplace = inplace.call_inplace, view_of = apply_view_rule
cdef object save_output = nodes.save_output, OutputOf = nodes.OutputOf, FREED = nodes.FREED
cdef object attach = nodes.attach, record = nodes.record
cdef list ACTIVE = modes.ACTIVE
cdef dict OPS = _OPS
cdef set OVERRIDING = modes.OVERRIDING
cdef object operate = None, renamed = None, remember = None
MAKERS = {{}}


cdef inline object plain_base(object t):
    if not OVERRIDING or type(t) is Tensor:
        return (<TensorFields?>t)._base
    return t._plain


cdef bint is_current(object t):
    cdef TensorFields f = <TensorFields?>t
    return plain_base(t) is None or not (<TensorFields?>f._base)._requires_grad or (
        f._seen == (<Storage?>f._storage).version)


cdef bint is_seen(object t):
    cdef TensorFields f = <TensorFields?>t
    return plain_base(t) is None or f._seen == (<Storage?>f._storage).version


cdef object edge_to(object t):
    if t is None or not (<TensorFields?>t)._requires_grad:
        return None
    return t if (<TensorFields>t)._fn is None else (<TensorFields>t)._fn


cdef object version_of(object t):
    cdef TensorFields f = <TensorFields?>t
    return 0 if f._storage is None else (<Storage?>f._storage).version


cdef object native_of(object t):
    cdef TensorFields f = <TensorFields?>t
    return t.native() if f._native is None else f._native


cdef object fresh_tensor(object native, object kind):
    t = new_object(Tensor)
    cdef TensorFields f = <TensorFields>t  # whose other fields are None already
    f._native, f._kind = native, kind
    f._requires_grad, f._seen = False, 0
    return t


cdef object start_history(
    object out, type cls, tuple edges, tuple saved, tuple versions, object kind, object shape
):
    node = new_object(cls)
    cdef NodeFields n = <NodeFields>node
    n.edges, n.saved, n.versions = edges, saved, versions
    n.kind, n.shape = kind, shape
    (<TensorFields>out)._requires_grad, (<TensorFields>out)._fn = True, node
    return None


def bind(op, facts):
    global operate, renamed, remember
    from flambeau import wrappers
    operate, renamed = wrappers.operate, wrappers.renamed
    if op.template == "fused":
        from flambeau import fused
        remember = fused.remember
    made = MAKERS.get(op.name)
    return made[1](op) if made is not None and made[0] == facts else None
"""


_SHORTER: Final = {
    r"(\w+) = new\(Tensor\)\n +\1\._native, \1\._kind = (.+), (.+)\n +\1\._storage = .+\n"
    r" +\1\.(?:_requires_grad, \1\._seen = False, 0|_seen = 0)\n": r"\1 = fresh_tensor(\2, \3)\n",
    r"(\w+)\._plain is None or not \1\._base\._requires_grad or "
    r"\1\._seen == \1\._storage\.version": r"is_current(\1)",
    r"\(?(\w+)\._plain is None or \1\._seen == \1\._storage\.version\)?": r"is_seen(\1)",
    r"\((\w+)\._fn or \1\) if (?:\1 is not None and )?\1\._requires_grad else None":
        r"edge_to(\1)",
    r"\(0 if (\w+)\._storage is None else \1\._storage\.version\)": r"version_of(\1)",
    r"(\w+)\._native if \1\._native is not None else \1\.native\(\)": r"native_of(\1)",
    r"node = new_node\((\w+)\)\n +node\.edges = (.+)\n +node\.saved = (.+)\n"
    r" +node\.versions = (.+)\n +node\.kind, node\.shape, node\.hooks = kind, (.+), None\n"
    r" +(\w+)\._requires_grad, \6\._fn = True, node":
        r"start_history(\6, \1, \2, \3, \4, kind, \5)",
}
"""What is written out for the interpreter, for which a call costs more, and the call instead."""


def module_texts(count: int) -> list[str]:
    """The texts of so many modules, among which the ops are dealt out."""
    ops = [op for op in all_ops() if op.template in TEMPLATES]
    return [_HEAD + "".join(map(_of_op, ops[i::count])) for i in range(count)]


def _of_op(op: Op) -> str:
    writers = wrappers.sources(op)
    names = {
        "OP": "object", "FAST": "dict", "FAST_INPLACE": "dict",
        "Node": "object", "OUTPUTS": "object", "RULE": "object",
        **{f"rule_{name}": "object" for name in op.derivatives}}
    lines = [f"cdef {kind} {op.name}_{name}" for name, kind in names.items()]
    makers = []
    for what, text in writers.items():
        maker = f"_{op.name}_{what}"
        makers.append(f"{what!r}: {maker}()")
        body = _with_own_names(op, text(), names)
        function = "backward" if what == "backward" else (
            f"{op.name}_" if what == "inplace" else op.name)
        lines += [f"\n\ndef {maker}():", wrappers._indent(body, 4), f"    return {function}"]
    values = {
        "OP": "op", "FAST": "op.fast", "FAST_INPLACE": "op.fast_inplace",
        "Node": "op.node_class",
        "OUTPUTS": "op.differentiable_outputs", "RULE": "op.joint",
        **{f"rule_{name}": f"op.derivatives[{name!r}]" for name in op.derivatives}}
    lines += [
        f"\n\ndef _bind_{op.name}(op):",
        f"    global {', '.join(f'{op.name}_{name}' for name in names)}",
        *(f"    {op.name}_{name} = {value}" for name, value in values.items()),
        f"    return {{{', '.join(makers)}}}",
        f"\n\nMAKERS[{op.name!r}] = ({wrappers.facts(op)!r}, _bind_{op.name})\n",
    ]
    return "\n".join(lines)


def _with_own_names(op: Op, text: str, names: dict[str, str]) -> str:
    """The text of a function of an op, in which the op's objects are variables of its own."""
    text = re.sub(r"^from flambeau.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"\bDEFAULTS\[(-?\d+)\]", lambda m: _literal(op, int(m.group(1))), text)
    text = text.replace("FAST_MUL[", "OPS['mul'].fast[")  # not registered yet when `add` is bound
    pattern = r"\b(" + "|".join(sorted(names, key=len, reverse=True)) + r")\b"
    text = re.sub(pattern, rf"{op.name}_\1", text)
    for pattern, short in _SHORTER.items():
        text = re.sub(pattern, short, text)
    text = with_casts(text)
    text = re.sub(r"isinstance\((\w+), Tensor\)", r"isinstance(\1, TensorFields)", text)
    return re.sub(r"\b(\w+)\._plain\b", r"plain_base(\1)", text)


def _literal(op: Op, position: int) -> str:
    """The text of a default value.

    Raises:
        ValueError: if it cannot be written out.
    """
    value: Any = op.schema.arguments[position].default
    if isinstance(value, float) and not math.isfinite(value):
        return f"math.inf * {math.copysign(1, value)}"
    if ast.literal_eval(repr(value)) != value:
        raise ValueError(f"{op.name}: the default {value!r} cannot be written out")
    return repr(value)


assert fused.RESERVED  # importing it adds the call paths of composites
