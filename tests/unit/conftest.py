"""Fixtures that several parts of the unit tests share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from flambeau import plugins

BACKEND = """
from flambeau.backend import Backend, Capabilities, KernelTable, hookimpl

class FakeBackend(Backend):
    name = "{device}"
    kernels = KernelTable()
    def device_count(self): return 1
    def alloc(self, nbytes, index): return bytearray(nbytes)
    def copy_in(self, buffer, offset, data, index): buffer[offset:offset + len(data)] = data
    def copy_out(self, buffer, offset, nbytes, index): return buffer[offset:offset + nbytes]
    def copy_device(self, to, to_offset, source, source_offset, nbytes, index): ...
    def synchronize(self, index): ...
    def capabilities(self, index): return Capabilities()
    def device_info(self, index): return {"name": "a fake"}
"""
HOOK = """
@hookimpl
def flambeau_backend(api):
    return FakeBackend()
"""
PLUGIN = BACKEND + HOOK


class FakeSite:
    """A folder of installed distributions: dist-info folders, as pip would have written them."""

    backend = BACKEND
    plugin = PLUGIN

    def __init__(self, root: Path) -> None:
        self.root = root

    def install(
        self, device: str, body: str = PLUGIN, *, distribution: str = "", version: str = "1.2"
    ) -> str:
        """Add a distribution with one backend; returns the name of its module."""
        distribution = distribution or f"flambeau-{device}"
        module = f"fake_{distribution.replace('-', '_')}_{device}"
        info = self.root / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[flambeau.backends]\n{device} = {module}\n")
        text = dedent(body).replace("{device}", device)
        (self.root / f"{module}.py").write_text(text)
        importlib.invalidate_caches()
        return module


@pytest.fixture
def fake_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSite]:
    """Plugins of this test only; the process's own backends come back afterwards."""
    before = set(sys.modules)
    for table in ("_backends", "_managers", "_quarantine"):
        monkeypatch.setattr(plugins, table, {})
    monkeypatch.setattr(plugins, "_loading", set())
    monkeypatch.delenv("FLAMBEAU_DISABLE", raising=False)
    monkeypatch.delenv("FLAMBEAU_STRICT_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield FakeSite(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("fake_"):
            del sys.modules[name]
