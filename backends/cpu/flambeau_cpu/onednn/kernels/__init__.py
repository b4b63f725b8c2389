"""Kernels from oneDNN by op family, the same file names as ``flambeau.ops``."""

from __future__ import annotations

import importlib
import pkgutil

from flambeau_cpu.onednn.choice import table

TABLE = table()
for _module in pkgutil.iter_modules(__path__):
    TABLE.merge(importlib.import_module(f"{__name__}.{_module.name}").kernels)
