"""What an op should give: the op run on the oracle, in float64."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np

import flambeau
from flambeau import dtypes
from flambeau.device import META, device
from flambeau.dtypes import dtype as DType
from flambeau.dtypes import finfo
from flambeau.registry import Op
from flambeau.samples import Sample
from flambeau.tensor import Tensor
from flambeau_conformance.compare import (
    ConformanceFailure,
    Want,
    describe,
    mismatches,
    require,
)
from flambeau_conformance.make import Maker
from flambeau_conformance.oracle import NAME
from flambeau_conformance.tolerances import OpClass
from flambeau_conformance.transfer import Array, Carrier, tensors_in, to_host, wider

OF_BITS: Final = frozenset({"view_dtype"})
"""Ops of the bits of a dtype: another dtype has others."""
DTYPES: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "integral": ("uint8", "int8", "int16", "int32", "int64"),
    "floating": ("float16", "bfloat16", "float32", "float64"),
    "complex": ("complex64", "complex128"),
}
GROUPS: dict[str, tuple[str, ...]] = {
    "all": ("bool", "integral", "floating", "complex"),
    "numeric": ("integral", "floating", "complex"),
    "real": ("integral", "floating"),
    "floating": ("floating",),
    "floating_complex": ("floating", "complex"),
    "integral": ("integral",),
    "bool_integral": ("bool", "integral"),
    "complex": ("complex",),
}


def dtypes_of(op: Op) -> list[DType]:
    """The dtypes that an op's samples are made in; ``none`` means that they choose their own."""
    if op.dtypes == "none":
        return [dtypes.float32]
    return [dtypes.BY_NAME[n] for group in GROUPS[op.dtypes] for n in DTYPES[group]]


def preferred(held: list[DType]) -> DType:
    """The dtype in which errors are asked for: the one that their authors had in mind."""
    return next((d for d in (dtypes.float32, dtypes.int64) if d in held), held[0])


def samples_of(op: Op, what: DType, seed: int, grad: bool = False) -> list[Sample]:
    """An op's samples, made on the oracle, each with a name of its own."""
    if op.samples is None:
        return []
    with quiet():
        found = list(op.samples(Maker(what, op.name, seed, grad)))
    names: set[str] = set()
    result = []
    for i, each in enumerate(found):
        name = each.name or str(i)
        name = f"{name}.{i}" if name in names else name
        names.add(name)
        result.append(replace(each, name=name))
    return result


@contextmanager
def quiet() -> Iterator[None]:
    """Without NumPy's warnings, which the oracle's arithmetic need not give."""
    with np.errstate(all="ignore"):
        yield


@contextmanager
def exact() -> Iterator[None]:
    """As precisely as can be: Python's floats become float64."""
    before = dtypes.get_default_dtype()
    dtypes.set_default_dtype(dtypes.float64)
    try:
        with quiet():
            yield
    finally:
        dtypes.set_default_dtype(before)


def reseed(op: Op, seed: int) -> None:
    """Start the random numbers of an op that draws some."""
    if op.is_random:
        flambeau.manual_seed(seed)


def result_types(op: Op, sample: Sample) -> list[Any]:
    """Dtypes of the results of an op, as the meta device has them; none if it looks at values."""
    carry = Carrier(META)
    try:
        with quiet():
            found = op.function(*carry(sample.args), **carry(sample.kwargs))
    except Exception:  # whatever it is, the device's own run will show it
        return []
    return [x.dtype for x in leaves(found) if isinstance(x, Tensor)]


def leaves(result: Any) -> list[Any]:
    """Tensors and other values of a result, in order."""
    if isinstance(result, (list, tuple)):
        return [leaf for item in result for leaf in leaves(item)]
    return [result]


class Reference:
    """The oracle's answer for one sample.

    Args:
        function: what is called; the op's public function.
        types: dtypes of the results, where they are known.

    An op that draws random numbers, or looks at bits, is computed in the dtype itself.
    """

    def __init__(
        self, op: Op, sample: Sample, seed: int = 0,
        function: Callable[..., Any] | None = None, types: list[Any] | None = None,
    ) -> None:
        self.op, self.sample, self.seed = op, sample, seed
        self.function = function or op.function
        self.wants = [self._as_want(leaf) for leaf in self._run(None)]
        self.types = self._types() if types is None else types

    def _run(self, change: Callable[[Array, Tensor], Array] | None) -> list[Any]:
        narrow = self.op.is_random or self.op.name in OF_BITS
        retype = None if narrow else wider
        carry = Carrier(device(NAME), retype, change)
        reseed(self.op, self.seed)
        with quiet() if narrow else exact():
            return leaves(self.function(*carry(self.sample.args), **carry(self.sample.kwargs)))

    @staticmethod
    def _as_want(leaf: Any) -> Any:
        return Want(to_host(leaf)) if isinstance(leaf, Tensor) else leaf

    def _types(self) -> list[Any]:
        """Dtypes of the results: those of the meta device, or of the oracle in the dtype itself
        if the op looks at values."""
        for place in (META, device(NAME)):
            carry = Carrier(place)
            reseed(self.op, self.seed)
            try:
                with quiet():
                    found = self.function(*carry(self.sample.args), **carry(self.sample.kwargs))
            except Exception:
                if place is not META:
                    raise
                continue
            return [x.dtype if isinstance(x, Tensor) else None for x in leaves(found)]
        raise AssertionError("unreachable")

    def check_written(self, target: Tensor, group: OpClass) -> None:
        """Compare a tensor that the single result was written to, converted to its dtype."""
        [want] = self.wants
        if target.dtype.category < 2:  # integers wrap around
            want = Want(want.values.astype(target.dtype.numpy))
        self._check_tensor(target, 0, want, target.dtype, group)

    def check(self, result: Any, group: OpClass) -> None:
        """Compare a device's result.

        Raises:
            ConformanceFailure: saying what differs first.
        """
        got = leaves(result)
        require(len(got) == len(self.wants), f"{len(got)} results, want {len(self.wants)}")
        for i, (value, want, what) in enumerate(zip(got, self.wants, self.types, strict=True)):
            if not isinstance(want, Want):
                require(value == want, f"result {i}: got {value!r}, want {want!r}")
                continue
            try:
                self._check_tensor(value, i, want, what, group)
            except ConformanceFailure as failure:
                if len(got) == 1:
                    raise
                raise ConformanceFailure(f"result {i}: {failure}") from None

    def _check_tensor(self, got: Any, i: int, want: Want, what: DType, group: OpClass) -> None:
        require(isinstance(got, Tensor), f"got {type(got).__name__}, want a Tensor")
        require(got.dtype is what, f"got dtype {got.dtype.name}, want {what.name}")
        shape = want.values.shape
        require(tuple(got.shape) == shape, f"got shape {tuple(got.shape)}, want {shape}")
        check_native(got)
        values = to_host(got)
        bad = mismatches(values, want, what, group)
        if bad.any() and group not in ("exact", "arithmetic", "function"):
            self._look_around()
            want = self.wants[i]
            bad = mismatches(values, want, what, group)
        require(not bad.any(), describe(values, want, bad, what) if bad.any() else "")

    def _look_around(self) -> None:
        """Where the op jumps near these inputs, either side is right: find the range of values
        when the inputs move by a few units in the last place, as rounded parts of a composite do.
        """
        if self.wants and isinstance(self.wants[0], Want) and self.wants[0].low is not None:
            return
        narrow = [t.dtype for t in tensors_in((self.sample.args, self.sample.kwargs))]
        eps = max((finfo(d).eps for d in narrow if d.category >= 2), default=0.0)
        if not eps:
            return
        moved = []
        for number in range(4):
            random = np.random.default_rng(zlib.crc32(self.op.name.encode()) + number)

            def change(elements: Array, t: Tensor, random: Any = random) -> Array:
                signs: Array = random.choice((-1.0, 1.0), elements.shape)
                return elements * (1 + 2 * eps * signs)

            moved.append(self._run(change))
        for i, want in enumerate(self.wants):
            if isinstance(want, Want):
                near = [to_host(m[i]) for m in moved]
                if all(n.shape == want.values.shape for n in near):
                    _spread(want, near)


def _spread(want: Want, near: list[Array]) -> None:
    if want.values.dtype.kind == "c":
        far = np.maximum.reduce([abs(n - want.values) for n in near])
        want.low, want.high = want.values - far / 2, want.values + far / 2
        return
    all_of_them = [want.values, *near]
    if want.values.dtype.kind == "b":
        all_of_them = [n.astype(np.uint8) for n in all_of_them]
    want.low, want.high = np.fmin.reduce(all_of_them), np.fmax.reduce(all_of_them)


def check_native(t: Tensor) -> None:
    """The tensor is what it says: its memory holds all of it, in its dtype.

    Raises:
        ConformanceFailure: otherwise; a fresh kernel may have returned another array.
    """
    storage, layout, backend = t.storage_(), t.layout_(), t._kind.backend
    require(
        layout.span() * t.dtype.itemsize <= storage.nbytes,
        f"the result's layout {layout} needs more than the {storage.nbytes} bytes it has",
    )
    native = t.native()
    held = backend.dtype_of(native) if hasattr(native, "dtype") else t.dtype
    require(held is t.dtype, f"the kernel returned {held.name} where {t.dtype.name} was due")


def inputs_in_words(sample: Sample) -> str:
    """The inputs of a sample for a failure's message."""
    named = [*enumerate(sample.args), *sample.kwargs.items()]
    return "\n".join(f"  input {name}: {_words(value)}" for name, value in named)


def _words(value: Any) -> str:
    if isinstance(value, Tensor):
        layout = value.layout_()
        strides = f"strides {tuple(layout.strides)}"
        where = f", offset {layout.offset}" if layout.offset else ""
        return f"{value.dtype.name}{list(value.shape)} {strides}{where}"
    if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value):
        return "[" + ", ".join(_words(v) for v in value) + "]"
    return repr(value)
