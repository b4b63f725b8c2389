"""Drivers from pip are shown to the OpenCL loader beside the system's, and users have the say."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from flambeau_opencl import loader


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty system folder, no driver in the environment, and a cache of the test's own."""
    folder = tmp_path / "vendors"
    folder.mkdir()
    monkeypatch.setenv("OPENCL_VENDOR_PATH", str(folder))
    monkeypatch.setenv("FLAMBEAU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loader.sys, "prefix", str(tmp_path / "environment"))
    # set first, so that the patch gives back what was there before the test
    monkeypatch.setenv("OCL_ICD_VENDORS", "")
    monkeypatch.delenv("OCL_ICD_VENDORS")
    return folder


@pytest.fixture
def intel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library as intel-opencl-rt installs it."""
    library = tmp_path / "environment" / "lib" / "libintelocl.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")
    monkeypatch.setattr(loader, "installed_library", lambda *_: library)
    return library


def told() -> dict[str, str]:
    """The ``.icd`` files that the loader is to read, and what they name."""
    folder = Path(os.environ["OCL_ICD_VENDORS"])
    return {p.name: p.read_text().strip() for p in folder.iterdir()}


# ---- showing ---------------------------------------------------------------------------------
def test_an_installed_driver_is_shown(system: Path, intel: Path) -> None:
    loader.show_drivers()
    assert told() == {"flambeau-intel.icd": str(intel)}


def test_the_drivers_of_the_system_stay_in_sight(
    system: Path, intel: Path, tmp_path: Path
) -> None:
    library = tmp_path / "libnvidia.so"
    library.write_bytes(b"")
    (system / "nvidia.icd").write_text(f"{library}\n")
    (system / "searched.icd").write_text("libsearched.so.1\n")
    loader.show_drivers()
    assert told() == {
        "flambeau-intel.icd": str(intel), "nvidia.icd": str(library),
        "searched.icd": "libsearched.so.1",
    }


def test_files_that_name_nothing_are_left_out(
    system: Path, intel: Path, tmp_path: Path
) -> None:
    # as intel-opencl-rt's own .icd, which names a path of the machine that built it
    own = tmp_path / "environment" / "etc" / "OpenCL" / "vendors"
    own.mkdir(parents=True)
    (own / "intel-cpu.icd").write_text("/opt/anaconda1anaconda2anaconda3/lib/libintelocl.so\n")
    (system / "empty.icd").write_text("\n")
    (system / "notes.txt").write_text("libother.so\n")
    loader.show_drivers()
    assert told() == {"flambeau-intel.icd": str(intel)}


def test_nothing_is_set_without_an_installed_driver(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "installed_library", lambda *_: None)
    loader.show_drivers()
    assert "OCL_ICD_VENDORS" not in os.environ


def test_nothing_is_set_when_the_system_has_the_driver(
    system: Path, intel: Path, tmp_path: Path
) -> None:
    library = tmp_path / "oneapi" / "libintelocl.so"
    library.parent.mkdir()
    library.write_bytes(b"")
    (system / "intel.icd").write_text(str(library))
    loader.show_drivers()
    assert "OCL_ICD_VENDORS" not in os.environ


@pytest.mark.parametrize("value", ["/a/folder/of/mine", ""])
def test_a_user_who_has_set_the_variable_is_not_overridden(
    system: Path, intel: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    pytest.importorskip("pyopencl")
    monkeypatch.setenv("OCL_ICD_VENDORS", value)
    loader.import_pyopencl()
    assert os.environ["OCL_ICD_VENDORS"] == value


# ---- the folder ------------------------------------------------------------------------------
def test_the_folder_is_private_and_found_again(system: Path, intel: Path, tmp_path: Path) -> None:
    loader.show_drivers()
    folder = Path(os.environ["OCL_ICD_VENDORS"])
    assert folder.is_relative_to(tmp_path / "cache")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = (folder / "flambeau-intel.icd").stat().st_mtime_ns
    loader.show_drivers()
    assert Path(os.environ["OCL_ICD_VENDORS"]) == folder
    assert (folder / "flambeau-intel.icd").stat().st_mtime_ns == before


def test_another_set_of_drivers_has_another_folder(system: Path, intel: Path) -> None:
    loader.show_drivers()
    first = os.environ["OCL_ICD_VENDORS"]
    (system / "searched.icd").write_text("libsearched.so")
    loader.show_drivers()
    assert os.environ["OCL_ICD_VENDORS"] != first


def test_a_file_that_was_changed_is_mended(system: Path, intel: Path) -> None:
    loader.show_drivers()
    path = Path(os.environ["OCL_ICD_VENDORS"], "flambeau-intel.icd")
    path.write_text("/somewhere/else.so")
    loader.show_drivers()
    assert told() == {"flambeau-intel.icd": str(intel)}


def test_without_a_cache_the_folder_is_a_temporary_one(
    system: Path, intel: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLAMBEAU_CACHE", "off")
    monkeypatch.setattr(loader.tempfile, "tempdir", str(tmp_path))
    removed: list[object] = []
    monkeypatch.setattr(loader.atexit, "register", lambda *call, **_: removed.append(call[1]))
    loader.show_drivers()
    folder = Path(os.environ["OCL_ICD_VENDORS"])
    assert folder.parent == tmp_path
    assert removed == [folder]
    assert told() == {"flambeau-intel.icd": str(intel)}


# ---- finding ---------------------------------------------------------------------------------
def test_a_library_is_found_through_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "some_driver-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-driver\nVersion: 1.0\n")
    (info / "RECORD").write_text("../lib/libdriver.so,,\n../lib/gone.so,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    library = tmp_path.parent / "lib" / "libdriver.so"
    library.parent.mkdir(exist_ok=True)
    library.write_bytes(b"")
    assert loader.installed_library("some-driver", "libdriver.so") == library.resolve()
    assert loader.installed_library("some-driver", "gone.so") is None
    assert loader.installed_library("some-driver", "libother.so") is None
    assert loader.installed_library("no-such-driver", "libdriver.so") is None
