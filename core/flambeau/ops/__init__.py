"""The operators, one file per family.  Importing this package registers all of them."""

import importlib
import pkgutil

FAMILIES = tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))

for _name in FAMILIES:
    importlib.import_module(f"{__name__}.{_name}")
