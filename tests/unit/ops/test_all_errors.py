"""Every op refuses what it must: its error samples, and arguments of other types than its schema's.

That the error samples are refused on a device is the conformance suite's question; here it is asked
of the cpu, and of every op whether it has any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

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
