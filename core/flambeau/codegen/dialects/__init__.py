"""The target languages of generated kernels."""

from __future__ import annotations

from flambeau.codegen.dialects.base import Dialect, Parameter, Register, StorageType
from flambeau.codegen.dialects.c import C
from flambeau.codegen.dialects.clike import CLike
from flambeau.codegen.dialects.cuda import Cuda
from flambeau.codegen.dialects.opencl import OpenCL

__all__ = ["C", "CLike", "Cuda", "Dialect", "OpenCL", "Parameter", "Register", "StorageType"]
