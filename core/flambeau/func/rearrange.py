"""``rearrange``: dimensions reordered, joined and split as a pattern of names says."""

from __future__ import annotations

import re
from math import prod
from typing import Any

from flambeau.tensor import Tensor

_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_]\w*|[()1])")
_REST = "..."

Group = list[str]
_BARE: Group = [_REST]  # is itself; "..." in parentheses is one dimension, and only equal to it


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """Reorder, join and split the dimensions of a tensor: ``"b c (h w) -> (b h) w c"``.

    Args:
        tensor: a tensor, or a list of tensors, which are stacked in front.
        pattern: a name for each dimension, before and after; names in parentheses share one
            dimension, the last of them varying fastest; ``...`` is all dimensions not named, ``1``
            or ``()`` one of size 1.
        axes_lengths: sizes of names that a dimension is split into; one may be left out.

    Raises:
        ValueError: if the pattern is malformed, or does not fit the tensor.
    """
    if not isinstance(tensor, Tensor):
        from flambeau.ops.join import stack

        tensor = stack(tensor)
    left, right = _sides(pattern)
    _check_names(pattern, left, right, axes_lengths)
    at = next((i for i, group in enumerate(left) if group is _BARE), None)
    if at is not None:
        count = tensor.ndim - len(left) + 1
        left = [*left[:at], *([f"{_REST}{i}"] for i in range(max(count, 0))), *left[at + 1:]]
        rest = [f"{_REST}{i}" for i in range(max(count, 0))]
        right = [g for group in right for g in _spread(group, rest)]
    if len(left) != tensor.ndim:
        raise ValueError(
            f"rearrange: the pattern {pattern!r} does not fit a tensor with {tensor.ndim} "
            "dimensions")
    sizes = dict(axes_lengths)
    for group, n in zip(left, tensor.shape, strict=True):
        _solve(pattern, group, n, sizes)
    before = [name for group in left for name in group]
    after = [name for group in right for name in group]
    split = tensor.reshape([sizes[name] for name in before])
    moved = split.permute([before.index(name) for name in after])
    result: Tensor = moved.reshape([prod(sizes[name] for name in group) for group in right])
    return result


def _sides(pattern: str) -> tuple[list[Group], list[Group]]:
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError(f"rearrange: the pattern {pattern!r} should have one '->'")
    return _groups(pattern, sides[0]), _groups(pattern, sides[1])


def _groups(pattern: str, side: str) -> list[Group]:
    """The names in each dimension; a dimension of size 1 has none."""
    groups: list[Group] = []
    open_: Group | None = None
    at, side = 0, side.rstrip()
    while at < len(side):
        found = _TOKEN.match(side, at)
        if found is None:
            raise ValueError(f"rearrange: cannot read {side[at:]!r} of the pattern {pattern!r}")
        at, token = found.end(), found[1]
        if token in "()":
            if (token == "(") is (open_ is not None):
                raise ValueError(f"rearrange: unbalanced parentheses in the pattern {pattern!r}")
            if open_ is not None:
                groups.append(open_)
            open_ = [] if token == "(" else None
        elif open_ is not None:
            open_ += [] if token == "1" else [token]
        else:
            groups.append(_BARE if token == _REST else [] if token == "1" else [token])
    if open_ is not None:
        raise ValueError(f"rearrange: unbalanced parentheses in the pattern {pattern!r}")
    return groups


def _check_names(
    pattern: str, left: list[Group], right: list[Group], lengths: dict[str, int]
) -> None:
    names = [[name for group in side for name in group] for side in (left, right)]
    for side in names:
        if len(set(side)) != len(side):
            raise ValueError(f"rearrange: a name stands twice on a side of {pattern!r}")
    if set(names[0]) != set(names[1]):
        only = sorted(set(names[0]) ^ set(names[1]))
        raise ValueError(f"rearrange: {only} stand on one side of {pattern!r} only")
    if _REST in names[0] and not any(group is _BARE for group in left):
        raise ValueError(f"rearrange: '...' in parentheses on the left of {pattern!r}")
    unknown = sorted(set(lengths) - set(names[0]))
    if unknown:
        raise ValueError(f"rearrange: sizes are given for {unknown}, not in {pattern!r}")


def _spread(group: Group, rest: list[str]) -> list[Group]:
    """A group with ``...`` replaced by names for the dimensions it stands for."""
    if group is _BARE:
        return [[name] for name in rest]
    if _REST in group:
        at = group.index(_REST)
        return [[*group[:at], *rest, *group[at + 1:]]]
    return [group]


def _solve(pattern: str, group: Group, n: int, sizes: dict[str, int]) -> None:
    """Find the size of the one name of a dimension whose size is not given."""
    unknown = [name for name in group if name not in sizes]
    known = prod(sizes[name] for name in group if name in sizes)
    if len(unknown) > 1:
        raise ValueError(f"rearrange: give the sizes of all but one of {unknown} in {pattern!r}")
    if unknown and known and n % known == 0:
        sizes[unknown[0]] = n // known
    elif unknown or known != n:
        raise ValueError(
            f"rearrange: a dimension of size {n} cannot be {group} of {pattern!r}, whose sizes "
            f"make {known}")
