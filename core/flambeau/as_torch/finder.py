"""Finds ``torch``, ``torchvision`` and their submodules among flambeau's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from email.message import Message
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from types import ModuleType
from typing import Any

from flambeau.as_torch import names
from flambeau.as_torch.facade import Facade


class Finder(DistributionFinder, Loader):
    """An entry of ``sys.meta_path``."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, if it is one of PyTorch's."""
        if not names.is_known(name):
            return None
        # All are packages: whether a module has submodules is not looked up.
        return ModuleSpec(name, self, is_package=True, origin="flambeau")

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that looks its names up in flambeau's."""
        return Facade(spec.name, _sources(spec.name))

    def exec_module(self, module: ModuleType) -> None:
        """Put in what programs find in ``vars(module)``; other names are found when asked for."""
        if isinstance(module, Facade):
            module.fill()

    def get_code(self, name: str) -> Any:
        """The code that ``python -m`` runs: there is none."""
        raise ImportError(f"{name} is not in flambeau", name=name)

    def find_distributions(self, context: Any = None) -> Iterable[Distribution]:
        """What ``importlib.metadata.version("torch")`` asks."""
        asked = getattr(context, "name", None)
        return [d for d in _DISTRIBUTIONS if asked is None or d.name == asked]

    def forget(self) -> None:
        """Take the modules that were found out of ``sys.modules``."""
        for name, module in list(sys.modules.items()):
            if isinstance(module, Facade):
                del sys.modules[name]


def _sources(name: str) -> list[ModuleType]:
    """Where names of a module are looked up, in order."""
    root = name.partition(".")[0]
    found = []
    for candidate in (names.ROOTS[root][0] + name[len(root):], names.home(name)):
        module = _import(candidate)
        if module is not None:
            found.append(module)
    return found


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only for want of this module or a package above it: of another one it is news.
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return None
        raise


class _Distribution(Distribution):
    def __init__(self, name: str, version: str) -> None:
        self._message = Message()
        self._message["Metadata-Version"] = "2.1"
        self._message["Name"] = name
        self._message["Version"] = version

    @property
    def name(self) -> str:
        return str(self._message["Name"])

    @property
    def metadata(self) -> Any:
        return self._message

    def read_text(self, filename: str) -> str | None:
        return str(self._message) if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(f"{self.name} is flambeau's and has no files of its own: {path}")


_DISTRIBUTIONS = [_Distribution(name, version) for name, version in names.VERSIONS.items()]
