"""Kernels are compiled once, kept on disk, printed on demand; errors show the lines at fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyopencl")

from flambeau.backend import BackendError
from flambeau.backend.disk import DiskCache
from flambeau.backend.generated import KernelSource, Parameter
from flambeau_opencl import program

GOOD = KernelSource(
    "good", "__kernel void good(__global int *to) { to[get_global_id(0)] = 3; }\n",
    (Parameter("to", "i32", True, True),), 8)
BAD = KernelSource("bad", """\
__kernel void bad(__global int *to) {
  const int first = 1;
  to[0] = undeclared;
  to[1] = first;
  to[2] = first;
  to[3] = 2 +;
}
""", (Parameter("to", "i32", True, True),), 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty disk cache."""
    monkeypatch.setenv("FLAMBEAU_CACHE", str(tmp_path))
    monkeypatch.setattr(program, "_cache", DiskCache("opencl"))
    return tmp_path / "opencl"


def run(backend: Any, source: KernelSource) -> bytes:
    buffer = backend.alloc(4 * source.group_size, 0)
    backend.launch(backend.compile(source, 0), 1, [buffer], 0)
    return bytes(backend.copy_out(buffer, 0, 4 * source.group_size, 0))


THREES = b"\3\0\0\0" * 8


# ---- the disk cache --------------------------------------------------------------------------
def count_compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are compiled from now on."""
    texts: list[str] = []
    made = program._cl._Program

    class Counting:
        def __new__(cls, context: Any, *rest: Any) -> Any:
            if isinstance(rest[0], str):
                texts.append(rest[0])
            return made(context, *rest)

    monkeypatch.setattr(program._cl, "_Program", Counting)
    return texts


def test_a_kernel_is_compiled_once(
    backend: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = count_compilations(monkeypatch)
    assert run(backend, GOOD) == THREES
    assert run(backend, GOOD) == THREES
    assert texts == [GOOD.text]
    assert len(list(folder.iterdir())) == 1


def test_a_binary_that_the_driver_refuses_is_compiled_anew(
    backend: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = count_compilations(monkeypatch)
    queue = backend._queues[0]
    key = (GOOD.text, queue.facts.options, queue.facts.identity)
    program._cache.put(b"not a binary of this driver", *key)
    assert run(backend, GOOD) == THREES
    assert run(backend, GOOD) == THREES
    assert texts == [GOOD.text]


def test_source_options_and_identity_are_the_key(backend: Any, folder: Path) -> None:
    queue = backend._queues[0]
    arguments = (queue.context, queue.device, "good")
    facts = queue.facts
    for text, options, identity in [
        (GOOD.text, facts.options, "here"), (GOOD.text + "\n", facts.options, "here"),
        (GOOD.text, facts.options + " -w", "here"), (GOOD.text, facts.options, "there"),
    ]:
        program.build(*arguments, text, options, identity)
    assert len(list(folder.iterdir())) == 4


def test_without_a_cache_kernels_are_compiled_each_time(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMBEAU_CACHE", "off")
    monkeypatch.setattr(program, "_cache", DiskCache("opencl"))
    texts = count_compilations(monkeypatch)
    assert run(backend, GOOD) == run(backend, GOOD) == THREES
    assert len(texts) == 2


# ---- errors ----------------------------------------------------------------------------------
def test_a_source_that_does_not_compile_is_shown_with_the_log(
    backend: Any, folder: Path
) -> None:
    with pytest.raises(BackendError) as caught:
        backend.compile(BAD, 0)
    words = str(caught.value)
    assert "the kernel 'bad' does not compile" in words
    assert "undeclared" in words
    assert ">    3 |   to[0] = undeclared;" in words
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", ["<kernel>", "10", "/tmp/x/input.cl", "<source>", ""])
def test_the_lines_at_fault_are_found_in_the_logs_of_drivers(place: str) -> None:
    log = f"{place}:3:11: error: use of undeclared identifier\n{place}:6:14: fatal error: expected"
    words = str(program.refused("bad", BAD.text, log, "a device"))
    shown = words.partition(log)[2].strip("\n").splitlines()
    assert shown == [
        "     1 | __kernel void bad(__global int *to) {", "     2 |   const int first = 1;",
        ">    3 |   to[0] = undeclared;", "     4 |   to[1] = first;",
        "     5 |   to[2] = first;", ">    6 |   to[3] = 2 +;", "     7 | }",
    ]


def test_a_log_without_places_and_one_with_impossible_ones_show_no_lines() -> None:
    for log in ("internal error", "x:900:1: error: beyond the end", "x:3:1: warning: unused"):
        assert str(program.refused("bad", BAD.text, log, "a device")).endswith(log)


def test_a_log_of_many_errors_shows_the_first_lines_only() -> None:
    text = "\n".join(f"line {n}" for n in range(1, 101))
    log = "\n".join(f"x:{n}:1: error: no" for n in range(10, 100, 10))
    words = str(program.refused("long", text, log, "a device"))
    assert words.count(">") == program._SHOWN


def test_a_group_that_the_device_cannot_run_is_refused(backend: Any, folder: Path) -> None:
    size = backend._queues[0].facts.group_size * 2
    source = KernelSource(GOOD.name, GOOD.text, GOOD.parameters, size)
    with pytest.raises(BackendError, match=f"'good' wants groups of {size} work items"):
        backend.compile(source, 0)


# ---- printing --------------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "is_printed"), [
    ("kernels", True), ("other,kernels", True), ("", False), ("other", False),
])
def test_sources_are_printed_on_demand(
    backend: Any, folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], value: str, is_printed: bool,
) -> None:
    monkeypatch.setenv("FLAMBEAU_DEBUG", value)
    backend.compile(GOOD, 0)
    out, err = capsys.readouterr()
    assert out == ""
    assert (GOOD.text in err) == is_printed
    assert ("kernel good" in err) == is_printed
