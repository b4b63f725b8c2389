"""Modules that look their names up in others."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from flambeau.as_torch import names
from flambeau.as_torch.missing import is_missing, missing

_ABSENT = object()


class Facade(ModuleType):
    """``torch.nn`` and the like.

    A name is looked up in ``sources`` in order, then as a submodule, then, where PyTorch itself
    has no such module of its own here, in the module above; a name that PyTorch has and flambeau
    has not gives a stand-in.
    """

    def __init__(self, name: str, sources: list[ModuleType]) -> None:
        super().__init__(name, sources[0].__doc__ if sources else None)
        self.__dict__["_sources"] = sources

    def __getattr__(self, name: str) -> Any:
        found = self._find(name)
        if not self._is_live(name):
            self.__dict__[name] = found  # the next look is as fast as for any module
        return found

    def _is_live(self, name: str) -> bool:
        """Whether a source says that the value may change: it is looked up every time."""
        return any(name in getattr(source, "LIVE", ()) for source in self._sources)

    def _find(self, name: str) -> Any:
        for source in self._sources:
            found = getattr(source, name, _ABSENT)
            if isinstance(found, ModuleType) and names.is_known(f"{self.__name__}.{name}"):
                return importlib.import_module(f"{self.__name__}.{name}")
            if found is not _ABSENT:
                return found
        inner = f"{self.__name__}.{name}"
        if name == "__file__":
            return __file__
        if names.is_listed(inner):
            return importlib.import_module(inner)
        if not name.startswith("__"):
            found = _ABSENT if self._sources else self._find_above(name)
            if found is not _ABSENT:
                return found
            if not self._sources or names.is_public(self.__name__, name) or (
                    names.is_open(self.__name__)):
                return missing(inner)
        raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")

    def _find_above(self, name: str) -> Any:
        """The name in the module above, unless that is torch itself or has a stand-in only."""
        above = sys.modules.get(self.__name__.rpartition(".")[0])
        if not isinstance(above, Facade) or "." not in above.__name__:
            return _ABSENT
        try:
            found = above._find(name)
        except AttributeError:
            return _ABSENT
        return _ABSENT if is_missing(found) else found

    def fill(self) -> None:
        """Look up the public names: programs go through ``vars(module)``."""
        if "." not in self.__name__:  # too many, and nobody does
            return
        known = names.public_names(self.__name__)
        for source in self._sources:
            for name in source.__dict__.get("__all__", known):
                if hasattr(source, name):
                    getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not self._is_live(name):
            super().__setattr__(name, value)
        if name.startswith("__") or isinstance(value, Facade):
            return  # the import system's own
        for source in self._sources:
            if hasattr(source, name):
                setattr(source, name, value)  # switches, and functions that a program replaces
                return

    def __dir__(self) -> list[str]:
        found = set(self.__dict__) | names.public_names(self.__name__)
        for source in self._sources:
            found.update(dir(source))
        return sorted(found)

