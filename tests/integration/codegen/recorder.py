"""A device that runs nothing: it keeps the sources of the kernels that ops ask for.

Its memory is host memory full of zeros, so ops whose course depends on values take one of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.backend import Capabilities, dtypes
from flambeau.backend.generated import Dialect, GeneratedBackend, KernelSource, Traits
from flambeau.plugins import register_backend
from flambeau.registry import Op, all_ops
from flambeau_conformance.oracle import register as register_oracle
from flambeau_conformance.reference import dtypes_of, samples_of
from flambeau_conformance.transfer import Carrier

GPU = Traits(group_size=256, lanes=32, units=100, local_memory=48 << 10)


class Recorder(GeneratedBackend):
    """Claims all dtypes, compiles nothing, launches nothing."""

    api = GeneratedBackend.api

    def __init__(self, name: str, dialect: Dialect, traits: Traits) -> None:
        type(self).name, type(self).dialect = name, dialect
        self._traits = traits
        self.sources: dict[str, KernelSource] = {}
        self.launches = 0
        super().__init__()

    def device_count(self) -> int:
        return 1

    def traits(self, index: int) -> Traits:
        return self._traits

    def capabilities(self, index: int) -> Capabilities:
        return Capabilities(dtypes=frozenset({
            dtypes.bool, dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64,
            dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64, dtypes.complex64,
            dtypes.complex128}))

    def device_info(self, index: int) -> dict[str, str]:
        return {"name": "a recorder"}

    def alloc(self, nbytes: int, index: int) -> Any:
        return np.zeros(nbytes, np.uint8)

    def copy_in(self, buffer: Any, offset: int, data: memoryview, index: int) -> None:
        source = np.frombuffer(data.cast("B"), np.uint8)
        buffer[offset : offset + source.size] = source

    def copy_out(self, buffer: Any, offset: int, nbytes: int, index: int) -> memoryview:
        return memoryview(buffer)[offset : offset + nbytes]

    def copy_device(
        self, to: Any, to_offset: int, source: Any, source_offset: int, nbytes: int, index: int
    ) -> None:
        to[to_offset : to_offset + nbytes] = source[source_offset : source_offset + nbytes]

    def synchronize(self, index: int) -> None:
        pass

    def compile(self, source: KernelSource, index: int) -> KernelSource:
        self.sources.setdefault(source.text, source)
        return source

    def launch(self, handle: Any, groups: int, arguments: Sequence[Any], index: int) -> None:
        assert len(arguments) == len(handle.parameters), handle.name
        assert groups > 0
        for parameter, value in zip(handle.parameters, arguments, strict=True):
            assert parameter.is_buffer == isinstance(value, np.ndarray), parameter
        self.launches += 1


def record(
    name: str, dialect: Dialect, traits: Traits, whats: Iterable[fb.dtype]
) -> tuple[list[KernelSource], list[str]]:
    """The kernels that the samples of all ops ask for, forward and backward, and what failed."""
    register_oracle()
    backend = Recorder(name, dialect, traits)
    register_backend(backend)
    failures = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for op in all_ops():
            for what in dtypes_of(op):
                if what in whats:
                    failures += _run(op, what, name)
    return list(backend.sources.values()), failures


def _run(op: Op, what: fb.dtype, name: str) -> list[str]:
    failures = []
    for sample in samples_of(op, what, 0, _may_record(op, what)):
        carry = Carrier(fb.device(name))
        try:
            out = op.function(*carry(sample.args), **carry(sample.kwargs))
            outs = out if isinstance(out, tuple | list) else [out]
            roots = [t for t in outs if isinstance(t, fb.Tensor) and t.requires_grad]
            if roots:
                fb.autograd.backward(roots, [fb.ones_like(t) for t in roots])
        except Exception as error:
            failures.append(f"{op.name}/{what.name}/{sample.name}: {type(error).__name__}: {error}")
    return failures


def _may_record(op: Op, what: fb.dtype) -> bool:
    """Whether gradients can be asked for: not of what is written in place."""
    return what.category >= 2 and not op.name.endswith("_")
