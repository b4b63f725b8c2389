"""Backends whose kernels are generated: a dialect and a launcher, the core does the rest.

An author derives from :class:`GeneratedBackend`: the device methods of
:class:`flambeau.backend.Backend`, a ``dialect``, ``traits`` of the device, and two methods that
compile a source and launch what came of it.  Kernels of all primitives, of composites that have a
formula and of the fused families come from the core's formulas; ``overrides`` puts better ones in
their place.
"""

from __future__ import annotations

from flambeau.backend.generated.base import GeneratedBackend, Traits
from flambeau.codegen.block import Block, Buffer, Kernel, KernelSource, Value, real
from flambeau.codegen.dialects import C, CLike, Cuda, Dialect, OpenCL, Parameter
from flambeau.codegen.scalar import Scalars
from flambeau.codegen.version import version

__all__ = [
    "Block",
    "Buffer",
    "C",
    "CLike",
    "Cuda",
    "Dialect",
    "GeneratedBackend",
    "Kernel",
    "KernelSource",
    "OpenCL",
    "Parameter",
    "Scalars",
    "Traits",
    "Value",
    "real",
    "version",
]
