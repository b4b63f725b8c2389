"""Python sources as Cython sources: the same text, with casts in front of fields.

Lines stay where they are, so tracebacks name those of the source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import Final

from flambeau.compile_core.structures import (
    FRESH,
    LAYOUT,
    NODE,
    STORAGE,
    STRUCTURES,
    TENSOR,
    Structure,
)

DIRECTIVES: Final = {
    "language_level": 3, "annotation_typing": False, "binding": True, "auto_pickle": False,
    "infer_types": False}
_FUTURE = "from __future__ import annotations\n"


def declarations(module: str) -> str:
    """The ``.pxd`` text of the structures of a module."""
    lines = []
    for s in STRUCTURES:
        if s.module != module:
            continue
        lines.append(f"cdef class {s.name}:")
        lines.append(f"    cdef public object {', '.join(s.fields)}")
        if s.has_weak_references:
            lines.append("    cdef object __weakref__")
    return "\n".join(lines) + "\n" if lines else ""


BUILTINS: Final = {
    "autograd.engine": {"dict": ("waiting", "grads"), "list": ("ready", "stack")},
}
"""Variables by module that always hold a builtin container."""


def cython_source(module: str, source: str) -> str:
    """The Cython text of a module of the package."""
    own = [s for s in STRUCTURES if s.module == module]
    text = source
    for s in own:
        text = _as_structure(text, s)
    text = with_casts(text)
    for kind, names in BUILTINS.get(module, {}).items():
        text = re.sub(
            rf"(?<![\w.])({'|'.join(names)})(?=\.(?:get|pop|append|setdefault)\(|\[)",
            rf"(<{kind}>\1)", text)
    # A failed cast is a TypeError, and an op cannot find its family in a frame that is not there.
    text = text.replace("except AttributeError:", "except (AttributeError, TypeError):")
    if module.startswith("ops."):
        family = module.removeprefix("ops.")
        text = re.sub(r"(?<=[\s(])doc=(?=[\"f(])", f'family="{family}", doc=', text)
    for s in own:
        text = text.replace(f"class {s.name}:", f"cdef class {s.name}:", 1)
    imports = "; ".join(
        f"from flambeau.{s.module} cimport {s.name}" for s in STRUCTURES if s.module != module)
    if module not in {s.module for s in STRUCTURES}:
        imports += "; from flambeau.compiled_short cimport look_up, new_object"
    return text.replace(
        _FUTURE, f"{_FUTURE.rstrip()}; {imports}\n", 1)


SHORT = """
from cpython.object cimport PyObject, PyTypeObject
from cpython.exc cimport PyErr_Occurred
from flambeau.fields cimport NodeFields, TensorFields
cdef extern from *:
    '''
    static CYTHON_INLINE PyObject *flambeau_new_object(PyTypeObject *cls) {
        static PyObject *nothing = NULL;
        PyTypeObject *base = cls;
        if (nothing == NULL) nothing = PyTuple_New(0);
        while (base->tp_flags & Py_TPFLAGS_HEAPTYPE && base->tp_base->tp_base) base = base->tp_base;
        return base->tp_new(cls, nothing, NULL);
    }
    static CYTHON_INLINE PyObject *flambeau_look_up(PyObject *table, PyObject *key) {
        PyObject *found = PyDict_GetItemWithError(table, key);
        if (found == NULL) {
            if (PyErr_Occurred()) return NULL;
            found = Py_None;
        }
        Py_INCREF(found);
        return found;
    }
    '''
    object new_object "flambeau_new_object"(type cls)
    object look_up "flambeau_look_up"(object table, object key)
"""
"""What stands for ``new(cls)`` and ``table.get(key)``."""


def _as_structure(text: str, s: Structure) -> str:
    """Blank out the slots and the annotations of a class, which the declarations replace."""
    tree = ast.parse(text)
    lines = text.split("\n")
    for node in tree.body:
        if not (isinstance(node, ast.ClassDef) and node.name == s.name):
            continue
        for item in node.body:
            slots = isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "__slots__"
            if slots or isinstance(item, ast.AnnAssign):
                assert item.end_lineno is not None
                for i in range(item.lineno - 1, item.end_lineno):
                    lines[i] = ""
    return "\n".join(lines)


def with_casts(text: str, fresh: Collection[str] = FRESH) -> str:
    """A text in which fields are reached through casts to the structures that hold them."""
    lines = text.split("\n")
    opened: dict[tuple[int, int], str] = {}
    closed: dict[tuple[int, int], str] = {}
    for node in _attributes(ast.parse(text)):
        s = structure_of(node)
        if s is None or node.lineno != node.end_lineno:
            continue
        assert node.end_lineno is not None and node.end_col_offset is not None
        known = isinstance(node.value, ast.Name) and node.value.id in fresh
        start = (node.lineno - 1, node.col_offset)
        stop = (node.end_lineno - 1, node.end_col_offset - len(node.attr) - 1)
        opened[start] = opened.get(start, "") + f"(<{s.name}{'' if known else '?'}>"
        closed[stop] = ")" + closed.get(stop, "")
    for row, line in enumerate(lines):
        if not line.isascii():
            assert not any(at[0] == row for at in opened), f"a cast beside {line!r}"
            continue
        pieces = []
        for column, character in enumerate([*line, ""]):
            pieces += [closed.get((row, column), ""), opened.get((row, column), ""), character]
        lines[row] = "".join(pieces)
    text = "\n".join(lines)
    text = re.sub(r"(\(<\w+\?>\w+\))\.memo\.get\(", r"look_up(\1.memo, ", text)
    text = re.sub(r"\b(\w+)\.__class__ is ", r"type(\1) is ", text)
    return re.sub(r"\b_?new(_tensor|_node)?\((\w+)\)", r"new_object(\2)", text)


def _attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Attributes in a text, outer ones first; those in f-strings have no true positions."""
    if isinstance(tree, ast.JoinedStr):
        return
    if isinstance(tree, ast.Attribute):
        yield tree
    for child in ast.iter_child_nodes(tree):
        yield from _attributes(child)


def structure_of(node: ast.Attribute) -> Structure | None:
    """The structure that an attribute is a field of, as far as names tell."""
    value = node.value
    if node.attr in TENSOR.fields:
        if isinstance(value, ast.Name) and value.id in ("TensorFields", "Tensor"):
            return None
        return TENSOR
    for s in (NODE, STORAGE, LAYOUT):
        if node.attr not in s.fields:
            continue
        if isinstance(value, ast.Name) and value.id in s.variables:
            return s
        if isinstance(value, ast.Attribute) and value.attr in s.owners:
            return s
    return None
