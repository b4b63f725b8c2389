"""What a device says about itself becomes options, traits and an identity."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pyopencl")

from flambeau.backend import BackendError
from flambeau_opencl import facts
from flambeau_opencl.facts import Facts


def test_a_plain_device_claims_nothing(make_device: Any) -> None:
    found = Facts.of(make_device("Plain", "GPU"))
    assert not found.has_f64
    assert not found.has_wide_atomics
    assert not found.is_rounded
    assert found.options == "-cl-std=CL1.2"
    assert not found.traits().has_f64
    assert not found.traits().has_wide_atomics


@pytest.mark.parametrize("given", [{"extensions": "cl_x cl_khr_fp64"}, {"double_fp_config": 63}])
def test_double_precision_is_an_extension_or_a_property(make_device: Any, given: Any) -> None:
    assert Facts.of(make_device("Wide", "GPU", **given)).has_f64


def test_an_old_driver_has_no_word_for_double_precision(make_device: Any) -> None:
    device = make_device("Old", "GPU")
    del device.double_fp_config
    assert not Facts.of(device).has_f64


def test_exact_division_is_asked_for_where_it_is_offered(make_device: Any) -> None:
    found = Facts.of(make_device("Exact", "GPU", single_fp_config=0xBF))
    assert found.is_rounded
    assert found.options == "-cl-std=CL1.2 -cl-fp32-correctly-rounded-divide-sqrt"


def test_atomics_on_8_bytes(make_device: Any) -> None:
    found = Facts.of(make_device("Atomic", extensions="cl_khr_int64_base_atomics"))
    assert found.traits().has_wide_atomics


@pytest.mark.parametrize(("kind", "most", "size", "lanes"), [
    ("CPU", 8192, 64, 1), ("GPU", 1024, 64, 256), ("GPU", 256, 64, 256), ("GPU", 100, 64, 64),
    ("GPU", 32, 32, 32), ("GPU", 1, 1, 1),
])
def test_groups_fit_the_device(
    make_device: Any, kind: str, most: int, size: int, lanes: int
) -> None:
    traits = Facts.of(make_device("A", kind, max_work_group_size=most)).traits()
    assert (traits.group_size, traits.lanes) == (size, lanes)


@pytest.mark.parametrize(("kind", "given", "lanes"), [
    ("CPU", "64", 64), ("GPU", "1", 1), ("GPU", "4096", 1024), ("CPU", "", 1),
])
def test_lanes_can_be_set(
    make_device: Any, monkeypatch: pytest.MonkeyPatch, kind: str, given: str, lanes: int
) -> None:
    monkeypatch.setenv("FLAMBEAU_OPENCL_LANES", given)
    assert Facts.of(make_device("A", kind)).traits().lanes == lanes


@pytest.mark.parametrize("given", ["0", "3", "-4", "many"])
def test_lanes_must_be_a_power_of_2(
    make_device: Any, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("FLAMBEAU_OPENCL_LANES", given)
    with pytest.raises(BackendError, match=f"FLAMBEAU_OPENCL_LANES='{given}': .* power of 2"):
        Facts.of(make_device("A")).traits()


@pytest.mark.parametrize("change", [
    {"driver_version": "7.2"}, {"version": "OpenCL 3.0"}, {"vendor": "Another"},
])
def test_another_driver_is_another_identity(make_device: Any, change: dict[str, str]) -> None:
    before = Facts.of(make_device("A", "GPU")).identity
    assert Facts.of(make_device("A", "GPU")).identity == before
    assert Facts.of(make_device("A", "GPU", **change)).identity != before
    assert Facts.of(make_device("B", "GPU")).identity != before
    assert Facts.of(make_device("A", "GPU", "Another platform")).identity != before


def test_a_cpu_is_known_by_its_instruction_sets(
    make_device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    identities = []
    for flags in ("flags: avx2", "flags: avx2 avx512f"):
        monkeypatch.setattr(facts, "processor", lambda flags=flags: flags)
        identities.append((
            Facts.of(make_device("A", "CPU")).identity, Facts.of(make_device("A", "GPU")).identity))
    assert identities[0][0] != identities[1][0]
    assert identities[0][1] == identities[1][1]
    assert facts.processor()


def test_people_are_told_the_essentials(make_device: Any) -> None:
    info = Facts.of(make_device("  Radeon  Pro ", "GPU", "ROCm")).info()
    assert (info["name"], info["kind"], info["platform"]) == ("Radeon Pro", "GPU", "ROCm")
    assert info["driver"] == "7.1"
    assert info["library"].startswith("pyopencl ")
