"""Where the elements of several tensors lie when they are walked together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flambeau.codegen.block import Block
from flambeau.codegen.dialects.base import Index

INT32_MAX = 2**31 - 1


class Walk(NamedTuple):
    """Dimensions, outermost first, and the strides of each tensor along them."""

    sizes: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]


def collapse(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> Walk:
    """The fewest dimensions that visit the same elements in the same order.

    Dimensions of size 1 vanish, and neighbours along which every tensor goes on evenly become one.
    Two of the results are cheap to index: no dimensions (one element), and one dimension along
    which every stride is 1 or 0.
    """
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for d, n in enumerate(shape):
        if n == 1:
            continue
        here = [s[d] for s in strides]
        if sizes and all(
            last[-1] == s * n for last, s in zip(steps, here, strict=True)
        ):
            sizes[-1] *= n
            for last, s in zip(steps, here, strict=True):
                last[-1] = s
        else:
            sizes.append(n)
            for last, s in zip(steps, here, strict=True):
                last.append(s)
    return Walk(tuple(sizes), tuple(map(tuple, steps)))


def in_memory_order(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> Walk:
    """As :func:`collapse`, with dimensions first sorted by the strides of the first tensor, where
    the order of the visits does not matter."""
    order = sorted(
        range(len(shape)), key=lambda d: [-s[d] for s in strides]) if strides else range(len(shape))
    return collapse([shape[d] for d in order], [[s[d] for d in order] for s in strides])


def index_register(
    numel: int, walks: Sequence[tuple[int, Sequence[int], Sequence[int]]]
) -> Index:
    """i32 where every index fits, else i64.

    Args:
        numel: how many work items there are.
        walks: per tensor its offset, and sizes and strides of its dimensions.
    """
    reach = numel
    for offset, sizes, strides in walks:
        last = offset + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
        reach = max(reach, 2 * last + 2)  # two components per complex element
    return "i32" if reach + 4096 <= INT32_MAX else "i64"  # item numbers round up to whole groups


def unravel(
    block: Block, item: str, sizes: Sequence[str], strides: Sequence[Sequence[str]],
    index: Index, starts: Sequence[str],
) -> list[str]:
    """Write the element that each tensor has at a work item.

    Args:
        item: its number.
        sizes: of the dimensions, outermost first; the first is not read.
        strides: per tensor along the dimensions; "0" and "1" are written as such.
        starts: the offset of each tensor.
    """
    rest = item
    places: list[list[str]] = [[] if start == "0" else [start] for start in starts]
    for d in range(len(sizes) - 1, -1, -1):
        if d:
            quotient = block.integer(f"{rest} / {sizes[d]}", index, "q")
            at = block.integer(f"{rest} - {quotient} * {sizes[d]}", index, "at")
            rest = quotient
        else:
            at = rest
        for place, step in zip(places, strides, strict=True):
            if step[d] == "1":
                place.append(at)
            elif step[d] != "0":
                place.append(f"{at} * {step[d]}")
    return [block.integer(" + ".join(place) or "0", index, "p") for place in places]


def marks_of(strides: Sequence[int]) -> str:
    """The strides of a tensor that a kernel is written for, "0" and the innermost "1", and "?" for
    those that it is given."""
    return "".join(
        "0" if s == 0 else "1" if s == 1 and d == len(strides) - 1 else "?"
        for d, s in enumerate(strides))


def given_strides(strides: Sequence[Sequence[int]], marks: Sequence[str]) -> list[int]:
    """The strides that stand as "?" in the marks of tensors, which a kernel is given."""
    return [s for steps, known in zip(strides, marks, strict=True)
            for s, mark in zip(steps, known, strict=True) if mark == "?"]
