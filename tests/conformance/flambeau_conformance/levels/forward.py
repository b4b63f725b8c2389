"""One op at one dtype: its results on the device against the oracle's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from flambeau import dispatch
from flambeau.backend import MissingKernelError, UnsupportedDtypeError
from flambeau.dtypes import can_cast, dtype
from flambeau.kind import kind_of
from flambeau.layout import Layout
from flambeau.registry import Op, Plan
from flambeau.samples import Sample
from flambeau.tensor import Tensor, from_storage
from flambeau_conformance.arrangements import (
    MARGIN,
    PATTERNS,
    expanded,
    gapped,
    rearranged,
    reversed_order,
)
from flambeau_conformance.case import Checks, Skip
from flambeau_conformance.compare import ConformanceFailure, require
from flambeau_conformance.config import Config
from flambeau_conformance.reference import (
    Reference,
    inputs_in_words,
    leaves,
    reseed,
    samples_of,
)
from flambeau_conformance.tolerances import OpClass, class_of
from flambeau_conformance.transfer import (
    Carrier,
    arranged,
    new_storage,
    storage_array,
    tensors_in,
)


@dataclass(slots=True)
class Forward:
    """The forward checks of one op at one dtype."""

    config: Config
    op: Op
    what: dtype
    check: Checks

    # ---- calling -----------------------------------------------------------------------------
    @contextmanager
    def about(self, sample: Sample, kind: str) -> Iterator[None]:
        """A check of a sample: its id, and the inputs for its message."""
        with self.check(f"{sample.name}/{kind}"):
            self.check.context = inputs_in_words(sample)
            yield

    def held(self, sample: Sample) -> bool:
        """Whether the device claims the dtypes of a sample's tensors."""
        tensors = tensors_in((sample.args, sample.kwargs))
        return self.config.holds(*(t.dtype for t in tensors))

    def on_device(self, sample: Sample) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a sample on the device."""
        carry = Carrier(self.config.place)
        return carry(sample.args), carry(sample.kwargs)

    def call(self, sample: Sample, function: Any = None) -> Any:
        """The op's result on the device."""
        args, kwargs = self.on_device(sample)
        reseed(self.op, self.config.seed)
        return (function or self.op.function)(*args, **kwargs)

    # ---- checks ------------------------------------------------------------------------------
    def samples(self) -> Iterator[tuple[Sample, Reference]]:
        """The samples that the device has the dtypes for, with the oracle's answers."""
        for sample in samples_of(self.op, self.what, self.config.seed):
            if self.held(sample):
                reference = self.reference(sample)
                if reference is not None and self.config.holds(
                    *(t for t in reference.types if t is not None)
                ):
                    yield sample, reference

    def reference(self, sample: Sample) -> Reference | None:
        """The oracle's answer; that it has none is a failure of the op or of the suite."""
        found: list[Reference] = []
        with self.about(sample, "oracle"):
            found.append(Reference(self.op, sample, self.config.seed))
        if found:
            self.check.results.pop()
            return found[0]
        return None

    def result(
        self, sample: Sample, reference: Reference, group: OpClass | None = None
    ) -> None:
        """The value, shape and dtype of a call."""
        with self.about(sample, "forward"):
            reference.check(self.call(sample), group or class_of(self.op, self.what))

    def patterns(self, sample: Sample, reference: Reference) -> None:
        """The same with inputs of other strides."""
        for pattern in PATTERNS:
            other = rearranged(sample, pattern)
            if other is not None:
                self.result(other, reference)
        if self.op.formula is not None or self.op.reduction is not None:
            repeated = expanded(sample)
            if repeated is not None:
                answer = self.reference(repeated)
                if answer is not None:
                    self.result(repeated, answer)

    def inplace(self, sample: Sample, reference: Reference) -> None:
        """``op_`` writes the result to its first argument and returns it."""
        function = self.op.inplace_function
        first = sample.args[0] if sample.args else None
        if function is None or not isinstance(first, Tensor):
            return
        [want, *rest], [what, *_] = reference.wants, reference.types
        fits = want.values.shape == tuple(first.shape) and can_cast(what, first.dtype)
        if rest or not fits or first.layout_().overlaps_itself():
            return
        with self.about(sample, "inplace"):
            args, kwargs = self.on_device(sample)
            target = args[0]
            before = target._version
            reseed(self.op, self.config.seed)
            returned = function(*args, **kwargs)
            require(returned is target, f"{self.op.name}_ returned another tensor than its own")
            require(target._version > before, f"{self.op.name}_ did not count as a modification")
            reference.check_written(target, class_of(self.op, self.what))

    def given_out(self, sample: Sample, reference: Reference) -> None:
        """``out=`` receives the result."""
        if not self.op.out or not all(isinstance(t, dtype) for t in reference.types):
            return
        with self.about(sample, "out"):
            outs = [
                _guarded(gapped(w.values.shape), kind_of(self.config.place, t))
                for w, t in zip(reference.wants, reference.types, strict=True)
            ]
            args, kwargs = self.on_device(sample)
            out: Any = tuple(outs) if len(outs) > 1 else outs[0]
            reseed(self.op, self.config.seed)
            returned = self.op.function(*args, **kwargs, out=out)
            same = leaves(returned)
            require(
                all(a is b for a, b in zip(same, outs, strict=True)), "out= was not returned"
            )
            reference.check(returned, class_of(self.op, self.what))
            for target in outs:
                check_margins(target)

    def silent(self, sample: Sample) -> None:
        """Overflows and undefined values are results, not warnings."""
        with self.about(sample, "silent"), warnings.catch_warnings(record=True) as seen:
            # A backend may silence its library by a filter for a module or a message; a filter
            # for all warnings is whoever runs the suite.
            own = [f for f in warnings.filters if f[0] == "ignore" and (f[1] or f[3])]
            warnings.resetwarnings()
            warnings.filters.extend(own)  # type: ignore[attr-defined]
            warnings.simplefilter("always", append=True)
            self.call(sample)
            require(not seen, f"a warning came out: {seen[0].message}" if seen else "")

    # ---- kernels -----------------------------------------------------------------------------
    def kernel(self, sample: Sample, reference: Reference) -> None:
        """The ``out`` form of a primitive's kernel, into memory of several patterns."""
        for name, layout_for in {
            "contiguous": Layout.contiguous, "gapped": gapped, "reversed": reversed_order,
        }.items():
            if name == "reversed" and all(w.values.ndim < 2 for w in reference.wants):
                continue
            with self.about(sample, f"kernel-{name}"):
                plan = self.plan(sample)
                outs = tuple(
                    _guarded(layout_for(tuple(r.shape)), kind_of(self.config.place, r.dtype))
                    for r in plan.results
                )
                self.launch(plan, outs)
                reference.check(outs, class_of(self.op, self.what))
                for out in outs:
                    check_margins(out)

    def aliased(self, sample: Sample, reference: Reference) -> None:
        """The same with each input in turn as ``out``, where elements are independent."""
        if self.op.formula is None and not self.op.inplace:
            return
        plan = self.plan(sample)
        for i in range(len(plan.inputs)):
            if self.op.formula is None and i > 0:
                return
            plan = self.plan(sample)
            target, result = plan.inputs[i], plan.results[0]
            fits = (
                isinstance(target, Tensor) and target.dtype is result.dtype
                and tuple(target.shape) == tuple(result.shape)
                and not target.layout_().overlaps_itself()
            )
            if fits:
                with self.about(sample, f"kernel-alias{i}"):
                    self.launch(plan, (target,))
                    reference.check(target, class_of(self.op, self.what))

    def plan(self, sample: Sample) -> Plan:
        """What the op's meta rule makes of a sample."""
        args, kwargs = self.on_device(sample)
        assert self.op.rule is not None
        found: Plan = self.op.rule(*self.op.schema.bind(args, kwargs))
        return found

    def launch(self, plan: Plan, outs: tuple[Tensor, ...]) -> None:
        """Call the ``out`` form of the kernel."""
        reseed(self.op, self.config.seed)
        kind = kind_of(self.config.place, plan.results[0].dtype)
        lacking = dispatch.run_kernel(self.op, kind, outs, plan)
        if lacking is not None:
            raise MissingKernelError(self.op.name, kind.device.type, lacking)

    # ---- calls that must be refused ------------------------------------------------------------
    def errors(self) -> None:
        """Each error sample raises its error, with the words that help."""
        from flambeau_conformance.make import Maker

        if self.op.errors is None:
            return
        for i, sample in enumerate(
            self.op.errors(Maker(self.what, self.op.name, self.config.seed))
        ):
            with self.check(f"{i}/error"):
                self.check.context = inputs_in_words(Sample(sample.args, sample.kwargs))
                _refused(self, sample)


def _refused(forward: Forward, sample: Any) -> None:
    import re

    if not forward.held(sample):
        raise Skip("the device does not hold the dtypes of this sample")
    carry = Carrier(forward.config.place)
    try:
        result = forward.op.function(*carry(sample.args), **carry(sample.kwargs))
        if forward.config.capabilities.asynchronous:  # only then may the call itself succeed
            forward.config.backend.synchronize(forward.config.index)
    except sample.error as error:
        matches = re.search(sample.match, str(error)) is not None
        if not matches and isinstance(error, UnsupportedDtypeError):
            raise Skip("the device does not hold a dtype that this call needs") from error
        require(matches, f"the message {str(error)!r} does not match {sample.match!r}")
        return
    raise ConformanceFailure(f"not refused: it gave {type(result).__name__}, want {sample.error}")


# ---- memory with margins -------------------------------------------------------------------------
_PATTERN = 0x7B
"""What memory is filled with before a kernel writes to it: bytes of large numbers."""


def _guarded(layout: Layout, kind: Any) -> Tensor:
    """An output in the middle of a larger storage of known bytes."""
    layout = Layout.of(layout.shape, layout.strides, layout.offset + MARGIN)
    count = layout.span() + MARGIN
    elements = np.frombuffer(bytes([_fill(kind.dtype)]) * (count * kind.dtype.itemsize), np.uint8)
    return from_storage(kind, new_storage(elements, kind), layout)


def _fill(what: dtype) -> int:
    return 1 if what.category == 0 else _PATTERN  # a bool has no other bytes than 0 and 1


def check_margins(t: Tensor) -> None:
    """Nothing was written around or between the elements of a guarded output.

    Raises:
        ConformanceFailure: saying where something was.
    """
    elements, layout = storage_array(t), t.layout_()
    outside = np.ones(elements.size, bool)
    places = arranged(np.arange(elements.size), layout)
    outside[places.reshape(-1)] = False
    raw = elements.view(np.uint8).reshape(-1, t.dtype.itemsize)
    touched = (raw != _fill(t.dtype)).any(1) & outside
    require(
        not touched.any(),
        f"the kernel wrote outside its output: at element {int(np.argmax(touched))} of the "
        f"storage, layout {layout}" if touched.any() else "",
    )
