"""Reductions as formulas: an identity, a map, a combine step that makes partial results one, and
a final step.

``Reduction("0", "acc + x", map="x * x", final="sqrt(acc)")`` is a 2-norm.  Parts are text until
they are needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from flambeau.codegen.category import Category
from flambeau.codegen.errors import FormulaError
from flambeau.codegen.inference import infer


@dataclass(frozen=True, slots=True)
class Reduction:
    """A reduction whose state is one value.

    Attributes:
        init: the identity of ``combine``, over no names but ``lowest`` and ``highest``: the ends
            of the state's type (-inf and inf for floats, false and true for bools).
        combine: makes one state of two, ``acc`` and ``x``, ``acc`` being that of earlier
            elements; associative, so that partial results may be formed in any grouping.
        map: the state of one element ``x``.
        final: the result from the state ``acc`` and the number ``n`` of elements.

    All parts but ``init`` may also use the op's scalar attributes by name.
    """

    init: str
    combine: str
    map: str = "x"
    final: str = "acc"

    def infer(
        self, element: int, attributes: Mapping[str, int] | None = None
    ) -> ReductionCategories:
        """The categories of state and result, from that of the elements and the attributes.

        Raises:
            FormulaError: for a part that does not type, or a combine step that does not give
                what it takes.
        """
        names = _checked(attributes)
        state = _infer("map", self.map, {**names, "x": element})
        # bool + bool is an integer, integer + integer one too: the state is what combining keeps.
        wider = _infer("combine", self.combine, {**names, "acc": state, "x": state})
        kept = _infer("combine", self.combine, {**names, "acc": wider, "x": wider})
        if wider < state or kept != wider:
            reason = f"combine: gives {kept} from {max(state, wider)}: let map give {kept}"
            raise FormulaError(reason, self.combine)
        _check_init(self.init, wider)
        result = _infer("final", self.final, {**names, "acc": wider, "n": Category.INTEGER})
        return ReductionCategories(wider, result)


@dataclass(frozen=True, slots=True)
class ArgReduction:
    """A reduction to the index of an element; its state is a value and the index it came from.

    Where ``take`` holds neither way, the lower index stays: the state (``x``, i) replaces
    (``acc``, j) if ``take(acc, x) || !take(x, acc) && i < j``, and any grouping in any order of
    the elements gives one result.

    Attributes:
        init: a value that ``take`` prefers to none, as in :class:`Reduction`; its index is above
            all others, so that any element replaces it.
        take: whether the value ``x`` is strictly preferred to ``acc`` (a strict weak order).
        map: the value of one element ``x``.
    """

    init: str
    take: str
    map: str = "x"

    def infer(
        self, element: int, attributes: Mapping[str, int] | None = None
    ) -> ReductionCategories:
        """The categories of the state's value and of the result, as for :class:`Reduction`."""
        names = _checked(attributes)
        state = _infer("map", self.map, {**names, "x": element})
        if _infer("take", self.take, {**names, "acc": state, "x": state}) is not Category.BOOL:
            raise FormulaError("take: must be a condition, such as x > acc", self.take)
        _check_init(self.init, state)
        return ReductionCategories(state, Category.INTEGER)


AnyReduction: TypeAlias = Reduction | ArgReduction


class ReductionCategories(NamedTuple):
    """What a reduction computes with."""

    state: Category
    """Of the state, its value if it is a pair."""
    result: Category


_LABEL: Final = re.compile(r"\s*(init|map|combine|take|final)\s*:")
_BINDING: Final = re.compile(r"\s*[A-Za-z_]\w*\s*=(?!=)")


def parse_reduction(text: str) -> AnyReduction:
    """A reduction from one line: parts separated by ``;``, each but the combine step labelled.

    Bindings belong to the part whose result they precede.

    Raises:
        FormulaError: for missing or repeated parts.  The parts themselves are not parsed yet.

    >>> parse_reduction("init: 0; acc + x; final: acc / n")
    Reduction(init='0', combine='acc + x', map='x', final='acc / n')
    >>> parse_reduction("init: lowest; take: x > acc || isnan(x) && !isnan(acc)").map
    'x'
    """
    parts: dict[str, str] = {}
    for label, part in _parts(text):
        if label in parts:
            raise FormulaError(f"a reduction has one part {label!r}", text)
        parts[label] = part
    if "init" not in parts:
        raise FormulaError("a reduction needs its identity, as in 'init: 0; acc + x'", text)
    make = _maker(parts, text)
    return make(**parts)


def _maker(parts: Mapping[str, str], text: str) -> Callable[..., AnyReduction]:
    if "take" not in parts:
        if "combine" not in parts:
            raise FormulaError("a reduction needs a combine step, as in 'init: 0; acc + x'", text)
        return Reduction
    if "combine" in parts or "final" in parts:
        raise FormulaError("a reduction with 'take' has no combine and no final step", text)
    return ArgReduction


def _parts(text: str) -> list[tuple[str, str]]:
    """Labels and formulas; a segment that is a binding goes with the next one."""
    found: list[tuple[str, str]] = []
    label, pending = "combine", ""
    for segment in text.split(";"):
        match = _LABEL.match(segment) if not pending else None
        if match:
            label, segment = match[1], segment[match.end() :]
        if not segment.strip():
            raise FormulaError("a part of the reduction is empty", text)
        pending += segment.strip()
        if _BINDING.match(segment):
            pending += "; "
            continue
        found.append((label, pending))
        label, pending = "combine", ""
    if pending:
        raise FormulaError("a reduction ends with a binding that nothing follows", text)
    return found


def _checked(attributes: Mapping[str, int] | None) -> Mapping[str, int]:
    for name in ("acc", "n", "x"):
        if attributes and name in attributes:
            raise FormulaError(f"{name!r} is a name of every reduction, not of an attribute")
    return attributes or {}


def _infer(part: str, formula: str, categories: Mapping[str, int]) -> Category:
    try:
        return infer(formula, categories)
    except FormulaError as error:
        raise FormulaError(f"{part}: {error.reason}", error.text, error.column) from None


def _check_init(init: str, state: Category) -> None:
    ends = {} if state is Category.COMPLEX else {"lowest": state, "highest": state}
    found = _infer("init", init, ends)
    if found > state:
        reason = f"init: is {found} while the state is {state}: use lowest or highest"
        raise FormulaError(reason, init)
