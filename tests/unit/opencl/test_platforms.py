"""Devices are numbered GPUs first, and chosen by number or name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pyopencl")

from flambeau.backend import BackendError
from flambeau_opencl import platforms


@pytest.fixture
def four(make_device: Any) -> list[Any]:
    """One platform with a CPU and a GPU, another with a GPU and an accelerator."""
    return [
        make_device("AMD EPYC", "CPU", "Portable  Computing "),
        make_device("Radeon Pro", "GPU", "Portable Computing"),
        make_device("Arc  A770 ", "GPU", "Intel(R) OpenCL"),
        make_device("Stratix", "ACCELERATOR", "Intel(R) OpenCL"),
    ]


def install(monkeypatch: pytest.MonkeyPatch, *groups: Any) -> None:
    """Let the loader list platforms with these devices; an error stands for one that fails."""

    def platform(devices: Any) -> Any:
        def get_devices() -> Any:
            if isinstance(devices, Exception):
                raise devices
            return devices

        return SimpleNamespace(get_devices=get_devices)

    monkeypatch.setattr(platforms.cl, "get_platforms", lambda: [platform(g) for g in groups])


def names(devices: Any) -> list[str]:
    return [" ".join(d.name.split()) for d in devices]


# ---- order -----------------------------------------------------------------------------------
def test_gpus_come_first_and_cpus_last(monkeypatch: pytest.MonkeyPatch, four: list[Any]) -> None:
    install(monkeypatch, four[:2], four[2:])
    assert names(platforms.all_devices()) == ["Radeon Pro", "Arc A770", "Stratix", "AMD EPYC"]
    install(monkeypatch, four[2:], four[:2])
    assert names(platforms.all_devices()) == ["Arc A770", "Radeon Pro", "Stratix", "AMD EPYC"]


def test_a_device_of_no_known_kind_comes_last(
    monkeypatch: pytest.MonkeyPatch, four: list[Any], make_device: Any
) -> None:
    install(monkeypatch, [make_device("Odd", "CUSTOM")], four)
    assert names(platforms.all_devices())[-1] == "Odd"


def test_a_simulator_comes_after_everything_else(
    monkeypatch: pytest.MonkeyPatch, four: list[Any], make_device: Any
) -> None:
    install(monkeypatch, [make_device("Oclgrind Simulator", "ALL", "Oclgrind")], four)
    assert names(platforms.all_devices())[-1] == "Oclgrind Simulator"


def test_a_platform_without_hardware_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, four: list[Any], make_error: Any
) -> None:
    install(monkeypatch, make_error(-1, "RuntimeError"), four[:1])
    assert names(platforms.all_devices()) == ["AMD EPYC"]


@pytest.mark.parametrize("lacking", ["available", "compiler_available"])
def test_devices_that_cannot_run_kernels_are_left_out(
    monkeypatch: pytest.MonkeyPatch, make_device: Any, lacking: str
) -> None:
    install(monkeypatch, [make_device("A", **{lacking: False}), make_device("B")])
    assert names(platforms.all_devices()) == ["B"]


# ---- selection -------------------------------------------------------------------------------
@pytest.mark.parametrize(("wanted", "chosen"), [
    ("", [0, 1, 2, 3]), (" , ", [0, 1, 2, 3]), ("0", [0]), ("3,0", [3, 0]), ("2, 2", [2]),
    ("epyc", [0]), ("INTEL", [2, 3]), ("arc a770", [2]), ("portable computing", [0, 1]),
    ("arc, portable", [2, 0, 1]), ("1,radeon", [1]), ("770", [2]),
])
def test_a_selection_names_numbers_or_parts_of_names(
    four: list[Any], wanted: str, chosen: list[int]
) -> None:
    assert platforms.select(four, wanted) == [four[n] for n in chosen]


@pytest.mark.parametrize("wanted", ["nvidia", "4", "epyc,nvidia", "-1"])
def test_a_selection_without_a_device_lists_what_there_is(four: list[Any], wanted: str) -> None:
    with pytest.raises(BackendError) as caught:
        platforms.select(four, wanted)
    words = str(caught.value)
    assert f"FLAMBEAU_OPENCL_DEVICE={wanted!r}" in words
    assert repr(wanted.split(",")[-1]) in words
    assert "0: AMD EPYC (Portable Computing)" in words
    assert "3: Stratix (Intel(R) OpenCL)" in words


def test_the_environment_selects(monkeypatch: pytest.MonkeyPatch, four: list[Any]) -> None:
    install(monkeypatch, four)
    monkeypatch.setenv("FLAMBEAU_OPENCL_DEVICE", "epyc,0")
    assert names(platforms.selected_devices()) == ["AMD EPYC", "Radeon Pro"]
    monkeypatch.delenv("FLAMBEAU_OPENCL_DEVICE")
    assert len(platforms.selected_devices()) == 4


# ---- none ------------------------------------------------------------------------------------
def test_without_a_driver_the_error_says_where_one_is_to_be_had(
    monkeypatch: pytest.MonkeyPatch, make_error: Any
) -> None:
    def refuse() -> None:
        raise make_error(-1001)

    monkeypatch.setattr(platforms.cl, "get_platforms", refuse)
    monkeypatch.delenv("OCL_ICD_VENDORS", raising=False)
    with pytest.raises(BackendError) as caught:
        platforms.selected_devices()
    words = str(caught.value)
    for expected in ("intel-opencl-rt", "pocl-opencl-icd", "NVIDIA", "/etc/OpenCL/vendors"):
        assert expected in words
    monkeypatch.setenv("OCL_ICD_VENDORS", "/some/folder")
    with pytest.raises(BackendError, match="OCL_ICD_VENDORS=/some/folder"):
        platforms.selected_devices()


def test_platforms_without_devices_are_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [], [])
    with pytest.raises(BackendError, match="no OpenCL device was found"):
        platforms.selected_devices()


def test_another_failure_of_the_loader_is_told(
    monkeypatch: pytest.MonkeyPatch, make_error: Any
) -> None:
    def refuse() -> None:
        raise make_error(-6, "MemoryError")

    monkeypatch.setattr(platforms.cl, "get_platforms", refuse)
    with pytest.raises(BackendError, match="cannot be read.*OUT_OF_HOST_MEMORY"):
        platforms.all_devices()
