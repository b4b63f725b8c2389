"""Every op refuses what it must: its error samples, and arguments of other types than its schema's.

That the error samples are refused on a device is the conformance suite's question; here it is asked
of the cpu, and of every op whether it has any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import flambeau
from flambeau.device import device
from flambeau.registry import Op, all_ops
from flambeau_conformance.make import Maker
from flambeau_conformance.oracle import register
from flambeau_conformance.reference import dtypes_of, preferred, samples_of
from flambeau_conformance.transfer import Carrier

register()

PUBLIC = [op for op in all_ops() if op.namespaces != ("_internal",)]


def refused(op: Op) -> Iterator[Any]:
    return op.errors(Maker(preferred(dtypes_of(op)), op.name)) if op.errors else iter(())


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("op", PUBLIC, ids=lambda op: op.name)
def test_error_samples(op: Op) -> None:
    found = list(refused(op))
    assert found, f"{op.name} says of no call that it must be refused: state errors="
    for sample in found:
        carry = Carrier(device("cpu"))
        with pytest.raises(sample.error, match=sample.match):
            op.function(*carry(sample.args), **carry(sample.kwargs))


class Stranger:
    """What no op takes."""


@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.name)
def test_arguments_of_another_type(op: Op) -> None:
    """One argument after the other; the message names the type."""
    carry = Carrier(device("cpu"))
    bound = [op.schema.bind(carry(s.args), carry(s.kwargs))
             for s in samples_of(op, preferred(dtypes_of(op)), 0)]
    given = min(bound, key=lambda values: sum(v is None for v in values))
    arguments = op.schema.arguments
    for i in [i for i, a in enumerate(arguments) if a.is_tensor] or [0]:
        args = [*given[:i], Stranger(), *given[i + 1 :]]
        named = {a.name: v for a, v in zip(arguments, args, strict=True) if a.keyword_only}
        with pytest.raises(TypeError, match="Stranger"):
            op.function(*args[: len(args) - len(named)], **named)


CALLS: dict[str, Callable[[Any], Any]] = {
    "operands without a tensor": lambda T: T.pow(2, 3),
    "special operands without a tensor": lambda T: T.special.xlog1py(2, 3),
    "a number for a tensor": lambda T: T.logical_and(T.ones(3), 2),
    "an exponent that is a number": lambda T: T.ldexp(T.ones(3), 2),
    "nothing joined": lambda T: T.cat([]),
    "None joined": lambda T: T.cat([T.ones(2), None]),
    "a part of a number": lambda T: T.narrow(T.tensor(1.0), 0, 0, 1),
    "a truth value as a start": lambda T: T.ones(3).narrow(0, T.tensor(False), 2),
    "a text as sections": lambda T: T.hsplit(T.ones(3, 3), "abc"),
    "a weight of other rank": lambda T: T.nn.functional.conv2d(
        T.ones(1, 1, 4, 3), T.ones(1, 2, 2), padding="same"),
    "too few dimensions to pool": lambda T: T.nn.functional.adaptive_avg_pool2d(
        T.ones(2, 2), (2, 2)),
    "an empty row of labels": lambda T: T.nn.functional.multilabel_margin_loss(
        T.ones(0), T.ones(0)),
    "a complex number filled in": lambda T: T.ones(2).masked_fill(T.tensor([True, False]), 1j),
    "a mean of integers": lambda T: T.mean(T.ones(3), dtype=T.int64),
    "the greatest of nothing": lambda T: T.amax(T.ones(5, 0)),
    "the extremes of an empty dimension": lambda T: T.aminmax(T.ones(5, 0), dim=1),
    "a dimension twice": lambda T: T.gradient(T.ones(3, 3), dim=(1, 1)),
    "steps that are no whole number": lambda T: T.linspace(0, 3, 1.0),
    "an out of overlapping elements": lambda T: T.index_select(
        T.ones(3, 6), 1, T.tensor([0, 1]), out=T.ones(1, 6).expand(3, 6)),
}


@pytest.mark.parametrize("what", CALLS)
def test_errors_are_pytorchs(what: str) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(Exception) as theirs:  # noqa: PT011  whatever it is
        CALLS[what](torch)
    with pytest.raises(Exception) as ours:  # noqa: PT011
        CALLS[what](flambeau)
    assert ours.type is theirs.type
