"""Processes that ``multiprocessing`` starts anew import ``torch`` before any code of ours runs.

What it sends them first, the preparation data, is unpickled before the program's main module is
imported: an object in it that installs the hook when it is unpickled comes early enough.
"""

from __future__ import annotations

import sys
from typing import Any

_plain: Any = None
_settings: tuple[str | None, dict[str, str]] = (None, {})


class _InstallsWhenUnpickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return (_install, _settings)


def _install(device: str | None, device_map: dict[str, str]) -> None:
    from flambeau import as_torch

    if not as_torch.is_installed():
        as_torch.install(device, device_map)


def prepare(device: str | None, device_map: dict[str, str]) -> None:
    """Let children of this process have the hook with these settings."""
    global _plain, _settings
    _settings = (device, device_map)
    if _plain is None:
        from multiprocessing import spawn

        _plain = spawn.get_preparation_data
        spawn.get_preparation_data = _with_hook


def _with_hook(name: str) -> dict[str, Any]:
    data: dict[str, Any] = _plain(name)
    server = sys.modules.get("multiprocessing.forkserver")
    if server is not None:
        # The server itself imports the main module before it has seen any data: not this time.
        server.set_forkserver_preload(["flambeau"])
    return {**data, "flambeau_as_torch": _InstallsWhenUnpickled()}


def restore() -> None:
    """Let children be as they were."""
    global _plain
    if _plain is not None:
        from multiprocessing import spawn

        spawn.get_preparation_data = _plain
        _plain = None
