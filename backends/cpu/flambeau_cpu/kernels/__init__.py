"""Kernels by op family, the same file names as ``flambeau.ops``."""

from __future__ import annotations

import importlib
import pkgutil

from flambeau.backend import KernelTable

TABLE = KernelTable()
TABLE.merge(
    importlib.import_module(f"{__name__}.{module.name}").kernels
    for module in pkgutil.iter_modules(__path__)
)
