"""The reference: a page per family of operators, written from the registry."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections import defaultdict
from types import CodeType
from typing import Any

from flambeau.registry import OPS, Op, all_ops
from generate import example

DTYPES = {
    "all": "all",
    "numeric": "all but bool",
    "real": "integers and floating point",
    "floating": "floating point",
    "floating_complex": "floating point and complex",
    "integral": "integers",
    "bool_integral": "bool and integers",
    "complex": "complex",
    "none": "none of its own",
}
TICKS = "``"
KINDS = {
    "primitive": "a kernel of every backend",
    "view": "a view: arithmetic on the layout",
    "composite": "composed",
}
INDEX = """\
# Reference

{count} public operators in {families} families. Each page is written from the registry, in which
an operator's signature, derivative, formula and samples stand in one place; the examples are runs
of the operator's own samples, and a test runs them again. `python -m generate` writes the pages.

"""
HEAD = """\
# {title}

`flambeau/ops/{family}.py`

"""


def pages() -> dict[str, str]:
    """The texts of all pages by file name."""
    families: dict[str, list[Op]] = defaultdict(list)
    for op in all_ops():
        if example.public_name(op):
            families[op.family].append(op)
    texts = {f"{family}.md": _page(family, ops) for family, ops in families.items()}
    return {"index.md": _index(dict(sorted(families.items()))), **texts}


def _index(families: dict[str, list[Op]]) -> str:
    count = sum(map(len, families.values()))
    parts = [
        INDEX.format(count=count, families=len(families)),
        "| family | operators |\n|---|---|\n",
    ]
    for family, ops in families.items():
        links = ", ".join(f"[{op.name}]({family}.md#{op.name})" for op in ops)
        parts.append(f"| [{_title(family)}]({family}.md) | {links} |\n")
    return "".join(parts)


def _title(family: str) -> str:
    """The beginning of the module's own first sentence."""
    module = importlib.import_module(f"flambeau.ops.{family}")
    first = (inspect.getdoc(module) or family).partition("\n\n")[0].replace("\n", " ")
    return first.partition(":")[0].partition(". ")[0].rstrip(".")


def _page(family: str, ops: list[Op]) -> str:
    return HEAD.format(title=_title(family), family=family) + "\n".join(map(_section, ops))


def _section(op: Op) -> str:
    parts = [
        f"## {op.name} {{ #{op.name} }}\n",
        f"```text\n{op.schema.text}\n```\n",
        f"{op.doc.replace(TICKS, TICKS[0])}\n",
    ]
    parts.append("".join(f"- {name}: {fact}\n" for name, fact in _facts(op).items() if fact))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an op warns of is no part of its example
        shown = example.example(op)
    if shown is not None:
        parts.append(f"```pycon\n{shown}\n```\n")
    return "\n".join(parts)


def _facts(op: Op) -> dict[str, str]:
    parts = _parts(op)
    computed = KINDS[op.kind]
    if op.kind == "primitive" and not op.is_required:
        computed = "a kernel that a backend may have; else on the CPU, counted"
    if parts:
        computed += " of " + ", ".join(f"`{name}`" for name in parts)
    return {
        "called": ", ".join(f"`{name}`" for name in _names(op)),
        "dtypes": DTYPES[op.dtypes],
        "derivative": _derivative(op),
        "formula": f"`{op.formula}`" if isinstance(op.formula, str) else "",
        "reduction": f"`{op.reduction}`" if op.reduction else "",
        "computed by": computed,
    }


def _names(op: Op) -> list[str]:
    """All names that the op has, functions first."""
    functions = []
    for space in op.namespaces:
        if space == "" and example.public_name(op) == f"fb.{op.name}":
            functions.append(f"fb.{op.name}")
        elif space in example.PREFIXES:
            functions.append(example.PREFIXES[space] + op.name.removeprefix(f"{space}_"))
    methods = [f"Tensor.{m}" for m in op.methods]
    if op.inplace:
        methods += [f"Tensor.{m}_" for m in op.methods if not m.startswith("__")]
    return functions + methods


def _derivative(op: Op) -> str:
    if op.dtypes in ("integral", "bool_integral", "none"):
        return "no"
    if op.is_differentiable:
        return "its own"
    return "of its parts" if op.kind == "composite" else "no"


def _parts(op: Op) -> list[str]:
    """The ops that a composite's body names."""
    if op.decompose is None:
        return []
    methods = {method: other.name for other in OPS.values() for method in other.methods}
    names = {methods.get(name, name) for name in _code_names(op.decompose.__code__)}
    functions = {id(other.function): other.name for other in OPS.values()}
    scope: dict[str, Any] = op.decompose.__globals__
    found = {functions.get(id(scope.get(name)), "") for name in names}
    found |= {name for name in names if name not in scope and name in OPS}
    return sorted(found - {"", op.name})


def _code_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _code_names(constant)
    return names
