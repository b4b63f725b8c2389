"""Level 3: composites, by their decomposition and by the backend's fused kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from flambeau.backend import KernelTable
from flambeau.dtypes import dtype
from flambeau.registry import Op, all_ops
from flambeau_conformance.case import Case, Checks
from flambeau_conformance.config import Config
from flambeau_conformance.levels.forward import Forward
from flambeau_conformance.reference import dtypes_of, preferred
from flambeau_conformance.tolerances import class_of


def cases(config: Config) -> Iterator[Case]:
    """For each composite: one case per dtype, and one for its errors."""
    for op in all_ops():
        if op.kind != "composite":
            continue
        held = [what for what in dtypes_of(op) if config.holds(what)]
        for what in held if is_fused(config, op) or config.deep else representative(held):
            run = partial(_composite, config, op, what)
            yield Case(f"L3/{op.name}/{what.name}/forward", run, op.name, what.name, "forward")
        if op.errors is not None and held:
            run = partial(_errors, config, op, preferred(held))
            yield Case(f"L3/{op.name}/errors", run, op.name)


REPRESENTATIVE = frozenset({
    "bool", "uint8", "int64", "float16", "bfloat16", "float32", "complex64",
})  # fmt: skip
"""Dtypes that composites without a kernel of their own are run in, unless the run is deep: their
parts are tested in all of them."""


def representative(held: list[dtype]) -> list[dtype]:
    """One or two dtypes of each category."""
    return [what for what in held if what.name in REPRESENTATIVE] or held[:1]


def is_fused(config: Config, op: Op) -> bool:
    """Whether the backend has a kernel for a composite."""
    return op.name in config.backend.kernels.names()


def _composite(config: Config, op: Op, what: dtype, check: Checks) -> None:
    forward = Forward(config, op, what, check)
    fused = is_fused(config, op)
    for sample, reference in forward.samples():
        if fused:
            with counting(config.backend.kernels, op) as declined:
                forward.result(sample, reference)
            if declined:
                check.note(f"{sample.name}/declined", "the fused kernel declined this sample")
            with without(config.backend.kernels, op), forward.about(sample, "decomposition"):
                reference.check(forward.call(sample), class_of(op, what))
            forward.patterns(sample, reference)
        else:
            forward.result(sample, reference)
        forward.inplace(sample, reference)
        forward.given_out(sample, reference)


def _errors(config: Config, op: Op, what: dtype, check: Checks) -> None:
    Forward(config, op, what, check).errors()


@contextmanager
def without(kernels: KernelTable, op: Op) -> Iterator[None]:
    """Without the fused kernel of an op: its decomposition runs."""
    with _replaced(kernels, op, lambda kernel: None):
        yield


@contextmanager
def counting(kernels: KernelTable, op: Op) -> Iterator[list[str]]:
    """Note each time the fused kernel of an op declines."""
    declined: list[str] = []

    def watched(kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = kernel(*args, **kwargs)
            if result is NotImplemented:
                declined.append(op.name)
            return result

        return call

    with _replaced(kernels, op, watched):
        yield declined


@contextmanager
def _replaced(
    kernels: KernelTable, op: Op, change: Callable[[Callable[..., Any]], Any]
) -> Iterator[None]:
    """With other kernels for an op; what the dispatcher remembers of it is forgotten."""
    before = [(table, table[op.name]) for table in (kernels.fresh, kernels.out)
              if op.name in table]
    for table, kernel in before:
        other = change(kernel)
        if other is None:
            del table[op.name]
        else:
            table[op.name] = other
    op.fast.clear()
    try:
        yield
    finally:
        for table, kernel in before:
            table[op.name] = kernel
        op.fast.clear()
