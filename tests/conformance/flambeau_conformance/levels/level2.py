"""Level 2: gradients.

``L2/exp/derivative``: the derivative that stands with the op, and its own derivative, against
central differences; this asks nothing of the device.  ``L2/exp/float32/gradient``: gradients and
second gradients on the device against those of the oracle.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from flambeau import dtypes
from flambeau.dtypes import dtype
from flambeau.registry import Op, all_ops
from flambeau.samples import Sample
from flambeau_conformance.case import Case, Checks
from flambeau_conformance.config import Config
from flambeau_conformance.levels.differences import check_derivative
from flambeau_conformance.levels.forward import Forward
from flambeau_conformance.levels.gradients import (
    differentiable,
    gradients_of,
    leaves_that_require_grad,
    only_differentiable,
    second_gradients_of,
)
from flambeau_conformance.reference import (
    Reference,
    dtypes_of,
    inputs_in_words,
    preferred,
    reseed,
    result_types,
    samples_of,
)

TWICE = ("float32", "complex64")
"""Dtypes in which second gradients are compared."""


def cases(config: Config) -> Iterator[Case]:
    """For each op that can be differentiated: its derivative, and a case per dtype.

    What gradients flow through is tested op by op: a composite without a derivative of its own is
    asked for its first gradients in one dtype, and in all of them by a deep run.
    """
    for op in all_ops():
        if op.dtypes == "none" or op.name.endswith("_"):  # or it writes to its arguments
            continue
        known = [d for d in dtypes_of(op) if d.category >= 2]
        if known:
            what = dtypes.float64 if dtypes.float64 in known else dtypes.complex128
            yield Case(f"L2/{op.name}/derivative", partial(_derivative, config, op, what), op.name)
        held = [d for d in known if config.holds(d)]
        for what in held if has_own_gradient(op) or config.deep else held and [preferred(held)]:
            if config.holds(what):
                run = partial(_gradient, config, op, what)
                yield Case(
                    f"L2/{op.name}/{what.name}/gradient", run, op.name, what.name, "gradient")


def has_own_gradient(op: Op) -> bool:
    """Whether gradients of an op do not come from the ops that it is made of."""
    return op.kind != "composite" or op.is_differentiable


def _derivative(config: Config, op: Op, what: dtype, check: Checks) -> None:
    function = differentiable(op)

    def seeded(*args: object, **kwargs: object) -> list[object]:
        reseed(op, config.seed)
        return function(*args, **kwargs)

    for sample in samples_of(op, what, config.seed, grad=True):
        is_differentiable = False
        with check(f"{sample.name}/first"):
            check.context = inputs_in_words(sample)
            is_differentiable = check_derivative(
                seeded, sample, config.seed, drawn=op.is_random)
        if not is_differentiable or not (has_own_gradient(op) or config.deep):
            continue
        with check(f"{sample.name}/second"):
            check.context = inputs_in_words(sample)
            first = gradients_of(seeded, config.seed, create_graph=True)
            check_derivative(
                only_differentiable(first), sample, config.seed + 1, drawn=op.is_random)


def _gradient(config: Config, op: Op, what: dtype, check: Checks) -> None:
    forward = Forward(config, op, what, check)
    for sample in samples_of(op, what, config.seed, grad=True):
        if not forward.held(sample) or not config.holds(*result_types(op, sample)):
            continue
        _compare(forward, sample, "gradient")
        if what.name in TWICE and (has_own_gradient(op) or config.deep):
            _compare(forward, sample, "double")


def _compare(forward: Forward, sample: Sample, kind: str) -> None:
    op, seed = forward.op, forward.config.seed
    function = (
        gradients_of(differentiable(op), seed) if kind == "gradient"
        else second_gradients_of(op, seed)
    )
    with forward.about(sample, kind):
        inputs = leaves_that_require_grad((sample.args, sample.kwargs))
        reference = Reference(op, sample, seed, function, [t.dtype for t in inputs])
        if reference.wants:
            reference.check(forward.call(sample, function), "gradient")
            return
    if forward.check.results[-1].status == "passed":  # nothing to differentiate
        forward.check.results.pop()
