"""Type stubs of what is built from schemas when flambeau is imported.

Editors and type checkers do not run that: they read what stands here.  A module whose names are all
made or re-exported gets a stub of its own; methods of ``Tensor`` stand in one that the class is
told to derive from while types are checked.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import keyword
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flambeau
from flambeau import return_types
from flambeau.registry import Op
from flambeau.schema import Argument
from flambeau.tensor import Tensor

CORE = Path(flambeau.__file__).parent
NOTE = '"""Written by `python -m generate stubs` from the registry: do not edit."""\n\n'
HEAD = (
    NOTE
    + """\
from builtins import bool as _bool
from builtins import complex as _complex
from builtins import float as _float
from builtins import int as _int
from builtins import str as _str
from collections.abc import Callable as _Callable
from collections.abc import Iterable as _Iterable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any
from typing import Self as _Self
from typing import TypeAlias as _TypeAlias

from flambeau import return_types as _return_types
from flambeau.device import device as _device
from flambeau.dtypes import dtype as _dtype
from flambeau.memory_format import memory_format as _memory_format
from flambeau.random import Generator as _Generator
from flambeau.tensor import Tensor as _Tensor

_Number: _TypeAlias = _bool | _int | _float | _complex
_Operand: _TypeAlias = _Tensor | _Number
"""
)
METHODS_HEAD = (
    HEAD
    + """
class TensorMethods:
    \"\"\"The methods of a tensor that are operators, or that families of operators add.\"\"\"

"""
)
RESULTS_HEAD = (
    NOTE
    + """\
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from flambeau.tensor import Tensor

class ReturnType(tuple[Any, ...]):
"""
)
MEMBERS = """\
    _fields: ClassVar[tuple[str, ...]]
    def __new__(cls, items: Iterable[Any]) -> Self: ...
    def _replace(self, **items: Any) -> Self: ...
"""
TYPES = {
    "Tensor": "_Tensor",
    "Operand": "_Operand",
    "Scalar": "_Number",
    "int": "_int",
    "float": "_float",
    "bool": "_bool",
    "str": "_str",
    "dtype": "_dtype",
    "device": "_device | _str | _int",
    "Generator": "_Generator",
    "Any": "_Any",
    "memory_format": "_memory_format",
}
IN_ANNOTATIONS = {
    **{name: text for name, text in TYPES.items() if name not in ("Operand", "Scalar")},
    "device": "_device",
    "None": "None",
    "tuple": "tuple",
    "list": "list",
    "complex": "_complex",
    "Sequence": "_Sequence",
    "Iterable": "_Iterable",
    "Callable": "_Callable",
    "dtypes.dtype": "_dtype",
    "DType": "_dtype",
}
NUMPY_NAMES = {"dim": "axis", "keepdim": "keepdims"}
MODULES = ("linalg", "fft", "special", "nn.functional")


def stubs() -> dict[Path, str]:
    """The texts of all stubs by file."""
    found = {
        CORE / "__init__.pyi": _module("flambeau"),
        CORE / "tensor_methods.pyi": METHODS_HEAD + "".join(map(_indented, _methods())),
        CORE / "return_types.pyi": RESULTS_HEAD + MEMBERS + "".join(_results()),
    }
    for name in MODULES:
        module = importlib.import_module(f"flambeau.{name}")
        assert module.__file__ is not None
        found[Path(module.__file__).with_suffix(".pyi")] = _module(module.__name__)
    return found


# ---- modules -----------------------------------------------------------------------------------
def _module(name: str) -> str:
    """Re-exports as the source has them, then constants, then functions that are made."""
    module = importlib.import_module(name)
    assert module.__file__ is not None
    body = ast.parse(Path(module.__file__).read_text()).body
    made = {
        n: _function(n, v) for n, v in vars(module).items() if not n.startswith("_") and _op_of(v)
    }
    for node in body:
        made.update(_closures(node, vars(module)))
    imports = [line for node in body for line in _imports(node, made)]
    imports += _lazy(module)
    constants = [line for node in body for line in _constants(node, module, made)]
    functions = [made[n] for n in sorted(made)]
    return "".join([HEAD, *sorted(set(imports)), "\n", *constants, "\n", *functions])


def _closures(node: ast.stmt, names: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Functions that other functions made: type checkers see no signature where they stand."""
    if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("flambeau."):
        return
    for alias in node.names:
        value = names.get(alias.asname or alias.name)
        if (
            inspect.isfunction(value)
            and "<locals>" in value.__code__.co_qualname
            and not hasattr(value, "__wrapped__")
        ):
            name = alias.asname or alias.name
            yield name, _plain(name, value)


def _op_of(value: Any) -> Op | None:
    op = getattr(value, "op", None) if callable(value) else None
    return op if isinstance(op, Op) else None


def _imports(node: ast.stmt, made: dict[str, str]) -> Iterator[str]:
    """Import statements that export something, a name to a line."""
    if not isinstance(node, ast.ImportFrom) or node.module in ("__future__", "typing"):
        return
    if node.module in ("flambeau", "flambeau.registry"):  # its own machinery
        return
    for alias in node.names:
        name = alias.asname or alias.name
        if name == "*":
            yield f"from {node.module} import *\n"
        elif name not in made and (name[0] != "_" or alias.asname == alias.name):
            yield f"from {node.module} import {alias.name} as {name}\n"


def _lazy(module: types.ModuleType) -> Iterator[str]:
    """What a module loads when it is first named."""
    for name in getattr(module, "_LAZY", ()):
        yield f"from {module.__name__} import {name} as {name}\n"
    for name, home in getattr(module, "_ELSEWHERE", {}).items():
        yield f"from {module.__name__}.{home} import {name} as {name}\n"


def _constants(node: ast.stmt, module: types.ModuleType, made: dict[str, str]) -> Iterator[str]:
    if not isinstance(node, (ast.Assign, ast.AnnAssign)):
        return
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for name in (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)):
        value = getattr(module, name)
        if name not in made and (not name.startswith("_") or name == "__version__"):
            yield f"{name}: {_type_of(value)}\n"


def _type_of(value: Any) -> str:
    kind = type(value)
    if value is None:
        return "None"
    return IN_ANNOTATIONS.get(kind.__name__, "_Any")


# ---- functions of operators --------------------------------------------------------------------
def _function(name: str, function: Any, method: bool = False) -> str:
    op = _op_of(function)
    assert op is not None
    inplace = function is op.inplace_function
    parameters = _parameters(op, inplace, method, name.startswith("__"))
    return f"def {name}({parameters}) -> {_returns(op, inplace, method)}: ...\n"


def _parameters(op: Op, inplace: bool, method: bool, operator: bool) -> str:
    parts, starred = [], False
    for i, argument in enumerate(op.schema.arguments):
        if method and i == 0:
            parts.append("self")
            continue
        if operator and argument.keyword_only:  # operators have two operands
            continue
        if argument.is_rest:
            parts.append(f"*{_name(argument)}: _int | _Sequence[_int]")
            starred = True
            continue
        if argument.keyword_only and not starred:
            parts.append("*")
            starred = True
        default = f" = {_default(argument.default)}" if argument.has_default else ""
        parts.append(f"{_name(argument)}: {_type(argument)}{default}")
    named = []
    if op.out and not inplace and not operator:
        several = len(op.schema.returns) > 1 or op.schema.returns_list
        named.append(f"out: {'_Sequence[_Tensor]' if several else '_Tensor'} | None = None")
    if any(argument.name == "dim" for argument in op.schema.arguments):
        named += [
            f"{NUMPY_NAMES[argument.name]}: {_type(argument)} = ..."
            for argument in op.schema.arguments
            if argument.name in NUMPY_NAMES
        ]
    if named and not starred:
        parts.append("*")
    return ", ".join(parts + named)


def _name(argument: Argument) -> str:
    name = "input" if argument.name == "self" else argument.name
    return name + "_" if keyword.iskeyword(name) else name


def _type(argument: Argument) -> str:
    text = TYPES[argument.type]
    if argument.is_list:
        inner = f"{text} | None" if argument.is_tensor else text
        text = f"_Sequence[{inner}]"
        if argument.length is not None or not argument.is_tensor:
            text = f"{TYPES[argument.type]} | {text}"
    optional = argument.is_optional or (argument.has_default and argument.default is None)
    return f"{text} | None" if optional and "_Any" not in text else text


def _default(value: Any) -> str:
    plain = (
        value is None
        or isinstance(value, (bool, int, str))
        or (isinstance(value, float) and value == value and abs(value) != float("inf"))
    )
    return repr(value) if plain else "..."


def _returns(op: Op, inplace: bool, method: bool) -> str:
    if inplace:
        return "_Self" if method else "_Tensor"
    if op.schema.returns_list:
        return "tuple[_Tensor, ...]"
    if len(op.schema.returns) == 1:
        text = op.schema.text.rpartition("->")[2].strip()
        named_or_not = hasattr(return_types, op.name)  # as max: a tensor, or one with indices
        return "_Any" if named_or_not else TYPES.get(text, "_Any")
    for name in (op.name, f"linalg_{op.name}"):
        if hasattr(return_types, name):
            return f"_return_types.{name}"
    return f"tuple[{', '.join(['_Tensor'] * len(op.schema.returns))}]"


# ---- methods -----------------------------------------------------------------------------------
def _methods() -> Iterator[str]:
    own = _names_in_class(CORE / "tensor.py", "Tensor")
    for name, value in sorted(vars(Tensor).items()):
        if name in own or name in ("_plain", "__hash__"):
            continue
        if _op_of(value):
            yield _ignored(name, _function(name, value, method=True))
        elif isinstance(value, property):
            kind = _annotation(getattr(value.fget, "__annotations__", {}).get("return"))
            kind = "_bool" if name.startswith("is_") else kind
            yield f"@property\ndef {name}(self) -> {kind}: ...\n"
        elif inspect.isfunction(value):
            yield _plain(name, value, method=True)


def _names_in_class(path: Path, name: str) -> set[str]:
    """What a class of a file defines; what it does only for type checkers is not counted."""
    tree = ast.parse(path.read_text())
    found = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    return {n.name for n in found.body if isinstance(n, ast.FunctionDef)}


def _ignored(name: str, text: str) -> str:
    """Comparisons give tensors, which ``object`` does not foresee."""
    if name not in ("__eq__", "__ne__"):
        return text
    return text.replace("\n", "  # type: ignore[override]\n")


def _plain(name: str, function: Any, method: bool = False) -> str:
    """The signature of a function that is no operator."""
    signature = inspect.signature(function)
    parts, starred = [], False
    for i, p in enumerate(signature.parameters.values()):
        if method and i == 0:
            parts.append("self")
            continue
        if p.kind is p.VAR_POSITIONAL:
            starred = True
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        default = "" if p.default is p.empty else f" = {_default(p.default)}"
        parts.append(f"{star}{p.name}: {_annotation(p.annotation)}{default}")
    returns = _annotation(signature.return_annotation)
    if method and name.endswith("_") and not name.endswith("__") and returns == "_Tensor":
        returns = "_Self"
    return f"def {name}({', '.join(parts)}) -> {returns}: ...\n"


def _annotation(text: Any) -> str:
    """An annotation in the words of a stub; ``Any`` if it names something unknown there."""
    if not isinstance(text, str):
        return "_Any"
    names = set(re.findall(r"[A-Za-z_][\w.]*", text))
    if not names <= set(IN_ANNOTATIONS):
        return "_Any"
    return re.sub(r"[A-Za-z_][\w.]*", lambda found: IN_ANNOTATIONS[found.group()], text)


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


# ---- results -----------------------------------------------------------------------------------
def _results() -> Iterator[str]:
    for name, value in sorted(vars(return_types).items()):
        if inspect.isclass(value) and value.__module__ == return_types.__name__ and value._fields:
            kinds = {field: _item(name, field) for field in value._fields}
            yield f"\nclass {name}(tuple[{', '.join(kinds.values())}]):\n{MEMBERS}"
            for field, kind in kinds.items():
                yield f"    @property\n    def {field}(self) -> {kind}: ...\n"


def _item(result: str, field: str) -> str:
    return "tuple[Tensor, ...]" if (result, field) == ("histogramdd", "bin_edges") else "Tensor"
