"""Level 1: primitives and views give the right values from any memory into any memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from flambeau.dtypes import dtype
from flambeau.registry import Op, all_ops
from flambeau_conformance.case import Case, Checks
from flambeau_conformance.config import Config
from flambeau_conformance.levels.forward import Forward
from flambeau_conformance.levels.large import large_samples, tolerance_of
from flambeau_conformance.levels.special import special_samples
from flambeau_conformance.reference import dtypes_of, preferred


def cases(config: Config) -> Iterator[Case]:
    """For each primitive and view: one case per dtype, and one for its errors."""
    for op in all_ops():
        if op.kind == "composite":
            continue
        held = [what for what in dtypes_of(op) if config.holds(what)]
        if op.kind == "view":  # layouts are the core's: one dtype shows that they arrive
            held = held[:1]
        for what in held:
            run = partial(_view if op.kind == "view" else _primitive, config, op, what)
            yield Case(f"L1/{op.name}/{what.name}/forward", run, op.name, what.name, "forward")
            if op.kind == "primitive" and what.name in ("float32", "int64"):
                name = f"L1/{op.name}/{what.name}/property"
                yield Case(name, partial(_property, config, op, what), op.name, what.name)
        if op.errors is not None and held:
            run = partial(_errors, config, op, preferred(held))
            yield Case(f"L1/{op.name}/errors", run, op.name)


def _primitive(config: Config, op: Op, what: dtype, check: Checks) -> None:
    forward = Forward(config, op, what, check)
    for sample, reference in forward.samples():
        forward.result(sample, reference)
        forward.patterns(sample, reference)
        forward.kernel(sample, reference)
        forward.aliased(sample, reference)
        forward.inplace(sample, reference)
        forward.given_out(sample, reference)
    for sample in special_samples(op, what):
        answer = forward.reference(sample)
        if answer is not None:
            forward.result(sample, answer)
            forward.silent(sample)
    for sample in large_samples(op, what, config.seed):
        answer = forward.reference(sample)
        if answer is not None:
            forward.result(sample, answer, group=tolerance_of(op, what))


def _view(config: Config, op: Op, what: dtype, check: Checks) -> None:
    forward = Forward(config, op, what, check)
    for sample, reference in forward.samples():
        forward.result(sample, reference)


def _errors(config: Config, op: Op, what: dtype, check: Checks) -> None:
    Forward(config, op, what, check).errors()


def _property(config: Config, op: Op, what: dtype, check: Checks) -> None:
    from flambeau_conformance.levels.properties import run_property

    run_property(Forward(config, op, what, check))
