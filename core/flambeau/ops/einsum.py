"""Sums of products by Einstein's notation: pairs of operands as batched matrix products."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Final

from flambeau.layout import product
from flambeau.ops.grid import listed
from flambeau.ops.matmul import matmul
from flambeau.ops.shape import diagonal, permute, reshape
from flambeau.registry import composite
from flambeau.samples import ErrorSample, Make, Sample, error
from flambeau.tensor import Tensor

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Labels = list[str]
"""A label per dimension: a letter, or ``.k`` for the k-th last dimension of an ellipsis."""


# ---- the equation ------------------------------------------------------------------------------
def _subscripts(text: str, ndim: int | None, what: str) -> Labels:
    """The labels of one operand, or of the output (``ndim`` None: an ellipsis stays ``...``).

    Raises:
        RuntimeError: for a character that is no letter, or a broken ellipsis.
    """
    head, dots, tail = text.partition("...")
    for part in (head, tail):
        for i, letter in enumerate(part):
            if letter == ".":
                raise RuntimeError(
                    f"einsum(): found '.' for {what} that is not part of any ellipsis")
            if letter not in _LETTERS:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {i} in {what} '{text}', "
                    "subscripts must be in [a-zA-Z]")
    if ndim is None:
        return [*head, *(["..."] if dots else []), *tail]
    rest = ndim - len(head) - len(tail)
    if rest < 0 or (rest and not dots):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(head) + len(tail)}) "
            + ("does not match" if not dots else "is more than")
            + f" the number of dimensions ({ndim}) for {what}"
            + ("" if dots else " and no ellipsis was given"))
    return [*head, *(f".{k}" for k in range(rest, 0, -1)), *tail]


def _parse(equation: str, operands: Sequence[Tensor]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the output.

    Raises:
        RuntimeError: if the equation does not fit the operands.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        fewer = "more" if len(operands) > len(parts) else "fewer"
        raise RuntimeError(
            f"einsum(): {fewer} operands were provided than specified in the equation")
    labels = [
        _subscripts(part, t.ndim, f"operand {i}")
        for i, (part, t) in enumerate(zip(parts, operands, strict=True))
    ]
    seen = [x for one in labels for x in one]
    dots = sorted({x for x in seen if x[0] == "."}, key=lambda x: -int(x[1:]))
    if not arrow:
        return labels, dots + sorted(x for x in set(seen) if seen.count(x) == 1 and x[0] != ".")
    out: Labels = []
    for x in _subscripts(right, None, "the output"):
        out += dots if x == "..." else [x]
    for x in out:
        if x not in seen:
            raise RuntimeError(
                f"einsum(): output subscript {x} does not appear in the equation for any input "
                "operand")
        if out.count(x) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {x} appears more than once in the output")
    return labels, out


def _from_sublists(args: tuple[Any, ...]) -> tuple[str, list[Tensor]]:
    """``(operand, labels, operand, labels, ..., [output])`` as an equation.

    Raises:
        ValueError: for a label outside 0..51.
    """
    def text(labels: Sequence[Any]) -> str:
        for x in labels:
            if x is not Ellipsis and not 0 <= x < 52:
                raise ValueError(
                    "einsum(): subscript in subscript list is not within the valid range [0, 52)")
        return "".join("..." if x is Ellipsis else _LETTERS[x] for x in labels)

    pairs = list(zip(args[::2], args[1::2], strict=False))
    equation = ",".join(text(labels) for _, labels in pairs)
    if len(args) % 2:
        equation += "->" + text(args[-1])
    return equation, [t for t, _ in pairs]


# ---- contraction -------------------------------------------------------------------------------
def _once(t: Tensor, labels: Labels) -> tuple[Tensor, Labels]:
    """A label that an operand has twice is its diagonal."""
    for x in dict.fromkeys(labels):
        while labels.count(x) > 1:
            a = labels.index(x)
            b = labels.index(x, a + 1)
            if t.shape[a] != t.shape[b]:
                raise RuntimeError(
                    f"einsum(): subscript {x} is repeated for one operand but the sizes don't "
                    f"match, {t.shape[b]} != {t.shape[a]}")
            t = diagonal(t, 0, a, b)
            labels = [y for d, y in enumerate(labels) if d not in (a, b)] + [x]
    return t, labels


def _drop(t: Tensor, labels: Labels, drop: set[str]) -> tuple[Tensor, Labels]:
    """Sum over labels."""
    dims = tuple(d for d, x in enumerate(labels) if x in drop)
    if not dims:
        return t, labels
    summed = t.sum(dims) if any(t.shape[d] != 1 for d in dims) else t.squeeze(dims)
    return summed, [x for x in labels if x not in drop]


def _pair(
    a: Tensor, la: Labels, b: Tensor, lb: Labels, keep: set[str]
) -> tuple[Tensor, Labels]:
    """Two operands as one: shared labels that nobody needs any more are summed over."""
    # A dimension of size 1 broadcasts: the other operand's label stands for both.
    sizes_a, sizes_b = dict(zip(la, a.shape, strict=True)), dict(zip(lb, b.shape, strict=True))
    ones_a = {x for x in la if sizes_a[x] == 1 and sizes_b.get(x, 1) != 1}
    ones_b = {x for x in lb if sizes_b[x] == 1 and sizes_a.get(x, 1) != 1}
    a, la = _drop(a, la, ones_a | {x for x in la if x not in lb and x not in keep})
    b, lb = _drop(b, lb, ones_b | {x for x in lb if x not in la and x not in keep})
    both = [x for x in la if x in lb]
    batch, inner = [x for x in both if x in keep], [x for x in both if x not in keep]
    rows, columns = [x for x in la if x not in lb], [x for x in lb if x not in la]
    if not inner:
        order = batch + rows + columns
        return _aligned(a, la, order) * _aligned(b, lb, order), order
    size = {**sizes_b, **{x: sizes_a[x] for x in la}}

    def count(labels: Labels) -> int:
        return product(size[x] for x in labels)

    left = reshape(_arranged(a, la, batch + rows + inner),
                   (count(batch), count(rows), count(inner)))
    right = reshape(_arranged(b, lb, batch + inner + columns),
                    (count(batch), count(inner), count(columns)))
    if not batch:
        left, right = left.squeeze(0), right.squeeze(0)
    labels = batch + rows + columns
    return reshape(matmul(left, right), [size[x] for x in labels]), labels


def _arranged(t: Tensor, labels: Labels, order: Labels) -> Tensor:
    if labels == order:
        return t
    return permute(t, [labels.index(x) for x in order])  # type: ignore[no-any-return]


def _aligned(t: Tensor, labels: Labels, order: Labels) -> Tensor:
    """Dimensions in an order, with size 1 where a label is missing."""
    t = _arranged(t, labels, [x for x in order if x in labels])
    for d, x in enumerate(order):
        if x not in labels:
            t = t.unsqueeze(d)
    return t


def _check_sizes(operands: Sequence[Tensor], labels: Sequence[Labels]) -> None:
    sizes: dict[str, int] = {}
    for i, (t, one) in enumerate(zip(operands, labels, strict=True)):
        for x, n in zip(one, t.shape, strict=True):
            seen = sizes.get(x, 1)
            if n not in (1, seen) and seen != 1:
                raise RuntimeError(
                    f"einsum(): subscript {x} has size {n} for operand {i} which does not "
                    f"broadcast with previously seen size {seen}")
            sizes[x] = max(seen, n) if n else 0


@functools.lru_cache(maxsize=1024)
def _path(equation: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """The order of contractions: the best known to opt_einsum, else from left to right.

    Each step takes operands out of the list by position and appends their contraction.
    """
    count = len(shapes)
    try:
        import opt_einsum
    except ImportError:
        return ((0, 1), *((count - 1 - i, 0) for i in range(1, count - 1)))
    path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True)
    return tuple(tuple(step) for step in path)


# ---- the op ------------------------------------------------------------------------------------
def _samples(make: Make) -> Iterator[Sample]:
    yield Sample(("ij,jk->ik", [make(2, 3), make(3, 4)]), name="matmul")
    yield Sample(("ij,jk", [make(2, 3), make(3, 4)]), name="implicit")
    yield Sample(("bij,bkj->bik", [make(2, 3, 4), make(2, 5, 4)]), name="batch")
    yield Sample(("...ij,...jk->...ik", [make(5, 2, 3), make(3, 4)]), name="ellipsis")
    yield Sample(("ii->i", [make(3, 3)]), name="diagonal")
    yield Sample(("ii", [make(3, 3)]), name="trace")
    yield Sample(("ij->", [make(2, 3)]), name="sum")
    yield Sample(("ij->ji", [make(2, 3)]), name="transpose")
    yield Sample(("i,j,k->ijk", [make(2), make(3), make(4)]), name="outer")
    yield Sample(("ij,jk,kl,lm->im", [make(2, 3), make(3, 4), make(4, 2), make(2, 3)]),
                 name="chain")
    yield Sample(("bn,anm,bm->ba", [make(2, 3), make(5, 3, 4), make(2, 4)]), name="bilinear")
    yield Sample(("ij,j->i", [make(2, 3), make(1)]), name="broadcast")
    yield Sample(("ij,kj->ik", [make(0, 3), make(2, 3)]), name="empty")


def _errors(make: Make) -> Iterator[ErrorSample]:
    yield error(RuntimeError, "more operands", "ij", [make(2, 3), make(2, 3)])
    yield error(RuntimeError, "fewer operands", "ij,jk", [make(2, 3)])
    yield error(RuntimeError, "number of subscripts", "ijk", [make(2, 3)])
    yield error(RuntimeError, r"\[a-zA-Z\]", "i1", [make(2, 3)])
    yield error(RuntimeError, "not part of any ellipsis", "i..", [make(2, 3)])
    yield error(RuntimeError, "does not appear", "ij->ik", [make(2, 3)])
    yield error(RuntimeError, "more than once", "ij->ii", [make(2, 3)])
    yield error(RuntimeError, "does not broadcast", "ij,ik", [make(2, 3), make(4, 3)])


@composite(
    "einsum_list(str equation, Tensor[] operands) -> Tensor", namespaces=("_internal",),
    method=False, out=False, dtypes="numeric", samples=_samples, errors=_errors,
)
def einsum_list(equation: str, operands: Sequence[Tensor]) -> Tensor:
    """Multiply operands and sum over the labels that the output does not have."""
    labels, out = _parse(equation, operands)
    _check_sizes(operands, labels)
    work = [_once(t, one) for t, one in zip(operands, labels, strict=True)]
    if len(work) > 2:
        path = _path(equation.replace(" ", ""), tuple(tuple(t.shape) for t in operands))
    else:
        path = ((0, 1),) if len(work) == 2 else ()
    for step in path:
        taken = [work[i] for i in step]
        work = [w for i, w in enumerate(work) if i not in step]
        keep = {x for _, one in work for x in one} | set(out)
        result, have = taken[0]
        for other, theirs in taken[1:]:
            result, have = _pair(result, have, other, theirs, keep)
        work.append((result, have))
    result, have = work[0]
    result, have = _drop(result, have, set(have) - set(out))
    return _arranged(result, have, out)


def einsum(*args: Any) -> Tensor:
    """Multiply operands and sum over the labels that the output does not have.

    ``einsum("ij,jk->ik", a, b)``, or with lists of labels ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    Without ``->`` the output has the labels that occur once, in alphabetical order.  The order of
    the contractions is opt_einsum's if it is installed, else from left to right.

    Raises:
        ValueError: without operands.
        RuntimeError: if the equation is broken or does not fit the operands.
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least "
            "one operand and its subscripts list")
    if isinstance(args[0], Tensor):
        equation, operands = _from_sublists(args)
    else:
        equation, operands = args[0], list(listed(args[1:]))
    result: Tensor = einsum_list(equation, operands)
    return result
