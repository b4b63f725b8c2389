"""Loading with ``weights_only=False``: a pickle that may run any code, as Python's own."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from typing import Any

from flambeau.serialization import names


def load(
    file: Any, load_persistent: Callable[[Any], Any], pickle_module: Any = None,
    **arguments: Any,
) -> Any:
    """The value of a pickle in a file, which ends up behind it.

    Args:
        pickle_module: whose ``Unpickler`` is used; Python's if None.
        arguments: given to it.
    """
    base: Any = (pickle_module or pickle).Unpickler

    class Unpickler(base):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            found = names.find(f"{module}.{name}")
            return _of_torch(module, name, super().find_class) if found is None else found

        def persistent_load(self, pid: Any) -> Any:
            return load_persistent(pid)

    return Unpickler(file, **arguments).load()


def _of_torch(module: str, name: str, otherwise: Callable[[str, str], Any]) -> Any:
    """A class or function of PyTorch's is the one of the same name here, if there is one."""
    if module.split(".")[0] == "torch":
        try:
            found: Any = importlib.import_module(f"flambeau{module[5:]}")
            for part in name.split("."):
                found = getattr(found, part)
            return found
        except (ImportError, AttributeError):
            pass
    return otherwise(module, name)
