"""Level 1: primitives and views give the right values from any memory into any memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import flambeau
from flambeau.dtypes import dtype
from flambeau.registry import Op, all_ops
from flambeau_conformance.case import Case, Checks
from flambeau_conformance.compare import require
from flambeau_conformance.config import Config
from flambeau_conformance.levels.forward import Forward
from flambeau_conformance.levels.large import large_samples, tolerance_of
from flambeau_conformance.levels.special import special_samples
from flambeau_conformance.reference import dtypes_of, preferred


def cases(config: Config) -> Iterator[Case]:
    """For each primitive and view: one case per dtype, and one for its errors."""
    yield Case("L1/shared_memory", partial(_shared_memory, config))
    for op in all_ops():
        if op.kind == "composite" or not _has_kernel(config, op):
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


def _has_kernel(config: Config, op: Op) -> bool:
    """Whether a device must have a kernel for an op, or has one."""
    table = config.backend.kernels
    return op.is_required or op.kind == "view" or op.name in table.fresh or (
        table.out.get(op.name) is not None)


def _shared_memory(config: Config, check: Checks) -> None:
    """A write through one view is seen through the others, whose natives kernels have used."""
    base = flambeau.zeros(4, 6, device=config.place)
    views = {"base": base, "row": base[1], "columns": base.t()[2:5], "flat": base.reshape(-1)}
    for view in views.values():
        view.add(1)  # a backend may keep what it made of the view for this
    for value, written in enumerate(views, 2):
        with check(f"{written}/written"):
            views[written].fill_(value)
            for name, view in views.items():
                here = view.cpu()
                seen = (view * 1).cpu()
                require(flambeau.equal(seen, here), f"{name} is not seen as it was written: {seen}")
            require(base[1, 3].item() == value, f"the base has not changed: {base}")


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
