"""Schema strings: the signature of an op, as PyTorch writes them.

``"sum(Tensor self, int[]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor"``

Types: ``Tensor``, ``Operand`` (a tensor or a Python number), ``Scalar``, ``int``, ``float``,
``bool``, ``str``, ``dtype``, ``device``, ``Generator``, ``memory_format``, ``Any``; a trailing
``?`` admits None, ``[]`` is a sequence (``[2]``: a single value stands for that many), and
``...`` after ``int[]`` lets the method take the numbers as separate arguments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

_ARGUMENT = re.compile(
    r"(?P<base>\w+)(?P<list>\[\d*\])?(?P<rest>\.\.\.)?(?P<optional>\?)?\s+(?P<name>\w+)"
    r"(?:\s*=\s*(?P<default>.+))?$"
)
_SCHEMA = re.compile(r"(?P<name>\w+)\((?P<args>.*)\)\s*->\s*(?P<returns>.+)$", re.DOTALL)
_DEFAULTS: Final = {"None": None, "True": True, "False": False, "[]": (), "inf": float("inf")}
TENSOR_TYPES: Final = ("Tensor", "Operand")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an op."""

    name: str
    type: str
    is_list: bool = False
    length: int | None = None
    is_rest: bool = False
    is_optional: bool = False
    keyword_only: bool = False
    has_default: bool = False
    default: Any = None

    @property
    def is_tensor(self) -> bool:
        """Whether tensors come in through this argument."""
        return self.type in TENSOR_TYPES

    def __str__(self) -> str:
        length = "" if self.length is None else str(self.length)
        text = self.type + (f"[{length}]" if self.is_list else "")
        return text + ("?" if self.is_optional else "")


@dataclass(frozen=True, slots=True)
class Schema:
    """The parsed signature of an op."""

    name: str
    arguments: tuple[Argument, ...]
    returns: tuple[str, ...]
    """Names of the results, empty strings where they have none."""
    returns_list: bool
    text: str
    tensor_positions: tuple[int, ...] = field(init=False)
    """Positions of the arguments through which tensors come in."""
    attributes: tuple[tuple[int, str], ...] = field(init=False)
    """Positions and names of the others."""

    def __post_init__(self) -> None:
        split: dict[bool, list[int]] = {True: [], False: []}
        for i, argument in enumerate(self.arguments):
            split[argument.is_tensor].append(i)
        object.__setattr__(self, "tensor_positions", tuple(split[True]))
        names = tuple((i, self.arguments[i].name) for i in split[False])
        object.__setattr__(self, "attributes", names)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments in order, defaults filled in.

        Raises:
            TypeError: naming the op and the argument that is missing, doubled or unknown.
        """
        values = list(args)
        if len(values) > len(self.arguments):
            raise TypeError(
                f"{self.name}() takes {len(self.arguments)} arguments but {len(values)} were given"
            )
        rest = dict(kwargs)
        if values and self.arguments[0].name == "self" and "input" in rest:
            raise TypeError(f"{self.name}() got multiple values for argument 'input'")
        for i, argument in enumerate(self.arguments):
            name = argument.name
            if i == 0 and name == "self" and "input" in rest:
                rest["self"] = rest.pop("input")
            if i < len(values):
                if name in rest:
                    raise TypeError(f"{self.name}() got multiple values for argument '{name}'")
            elif name in rest:
                values.append(rest.pop(name))
            elif argument.has_default:
                values.append(argument.default)
            else:
                raise TypeError(f"{self.name}() missing required argument '{name}' (pos {i + 1})")
        if rest:
            raise TypeError(
                f"{self.name}() got an unexpected keyword argument '{next(iter(rest))}'; "
                f"its signature is {self.text}"
            )
        return tuple(values)

    def unbind(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Complete arguments as a caller would give them: what is a default is left out."""
        given = [
            (a, v) for a, v in zip(self.arguments, args, strict=True)
            if not (a.has_default and (v is a.default or (a.keyword_only and v == a.default)))
        ]
        positional = [v for a, v in given if not a.has_default]
        named = {a.name: v for a, v in given if a.has_default}
        return tuple(positional), named


def parse(text: str) -> Schema:
    """Read a schema string.

    Raises:
        ValueError: naming the part that cannot be read.
    """
    whole = _SCHEMA.match(text.strip())
    if whole is None:
        raise ValueError(f"cannot read schema {text!r}")
    arguments, keyword_only = [], False
    for part in _split(whole["args"]):
        if part == "*":
            keyword_only = True
            continue
        arguments.append(_argument(part, keyword_only, text))
    returns = whole["returns"].strip()
    if returns.startswith("("):
        items = tuple(r.split()[1] if " " in r else "" for r in _split(returns[1:-1]))
    else:
        items = ("",)
    return Schema(whole["name"], tuple(arguments), items, returns.endswith("[]"), text.strip())


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no parentheses."""
    return [p.strip() for p in re.split(r",(?![^(]*\))", text) if p.strip()]


def _argument(text: str, keyword_only: bool, schema: str) -> Argument:
    found = _ARGUMENT.match(text)
    if found is None:
        raise ValueError(f"cannot read argument {text!r} of schema {schema!r}")
    length = (found["list"] or "")[1:-1]
    return Argument(
        found["name"], found["base"], found["list"] is not None, int(length) if length else None,
        found["rest"] is not None, found["optional"] is not None, keyword_only,
        found["default"] is not None, _default(found["default"]),
    )


def _default(text: str | None) -> Any:
    if text is None:
        return None
    if text in _DEFAULTS:
        return _DEFAULTS[text]
    if text[0] in "'\"":
        return text[1:-1]
    if text[0] == "(":
        return tuple(_default(part) for part in _split(text[1:-1]))
    try:
        return int(text)
    except ValueError:
        return float(text)
