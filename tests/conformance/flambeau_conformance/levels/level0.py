"""Level 0: the device is there, its memory keeps what is put into it, copies arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import flambeau
from flambeau import dtypes
from flambeau.backend import Capabilities, UnsupportedDtypeError
from flambeau.device import device
from flambeau.dtypes import dtype
from flambeau.kind import kind_of
from flambeau.layout import Layout
from flambeau_conformance.arrangements import PATTERNS, arrange
from flambeau_conformance.case import Case, Checks
from flambeau_conformance.compare import ConformanceFailure, require
from flambeau_conformance.config import Config
from flambeau_conformance.make import Maker
from flambeau_conformance.transfer import Carrier, from_host, to_host


def cases(config: Config) -> Iterator[Case]:
    """Questions to the device, and one case of copies per dtype."""
    questions: dict[str, Callable[[Config, Checks], None]] = {
        "import": _import, "device": _device, "memory": _memory, "capabilities": _capabilities,
    }
    for name, question in questions.items():
        yield Case(f"L0/{name}", partial(question, config))
    for what in dtypes.ALL:
        if config.holds(what):
            run = partial(_copies, config, what)
            yield Case(f"L0/copies/{what.name}/forward", run, "copies", what.name, "forward")
        else:
            yield Case(f"L0/unclaimed/{what.name}", partial(_unclaimed, config, what))


def _import(config: Config, check: Checks) -> None:
    with check("backend"):
        require(config.backend.name == device(config.device).type, "it answers to another name")
    with check("kernel_table"):
        table = config.backend.kernels
        for name in table.names():
            kernel = table.out.get(name) or table.fresh[name]
            require(callable(kernel), f"the kernel of {name!r} cannot be called: {kernel!r}")


def _device(config: Config, check: Checks) -> None:
    backend, index = config.backend, config.index
    with check("count"):
        count = backend.device_count()
        require(type(count) is int and count > index, f"device_count() gave {count!r}")
    with check("info"):
        info = backend.device_info(index)
        require(bool(info.get("name")), f"device_info() has no name: {info!r}")
        require(all(isinstance(v, str) for v in info.values()), f"not all words: {info!r}")
    with check("no_such_index"):
        beyond = f"{backend.name}:{backend.device_count()}"
        _refuses(lambda: kind_of(beyond, dtypes.float32), RuntimeError)
    with check("synchronize"):
        backend.synchronize(index)
        backend.empty_cache()


def _refuses(call: Callable[[], Any], error: type[Exception]) -> None:
    try:
        result = call()
    except error:
        return
    raise ConformanceFailure(f"not refused: it gave {result!r}, want {error.__name__}")


# ---- memory ------------------------------------------------------------------------------------
def _memory(config: Config, check: Checks) -> None:
    backend, index = config.backend, config.index
    data = bytes(np.random.default_rng(config.seed).integers(0, 256, 1000, np.uint8))

    def read(buffer: Any, offset: int, count: int) -> bytes:
        return bytes(backend.copy_out(buffer, offset, count, index))

    with check("round_trip"):
        buffer = backend.alloc(1000, index)
        backend.copy_in(buffer, 0, memoryview(data), index)
        require(read(buffer, 0, 1000) == data, "other bytes came back")
    with check("offsets"):
        buffer = backend.alloc(1000, index)
        backend.copy_in(buffer, 0, memoryview(data), index)
        backend.copy_in(buffer, 100, memoryview(data)[:50], index)
        want = data[:100] + data[:50] + data[150:]
        require(read(buffer, 0, 1000) == want, "copy_in at an offset wrote other bytes")
        require(read(buffer, 90, 70) == want[90:160], "copy_out at an offset read other bytes")
    with check("apart"):
        one, two = backend.alloc(64, index), backend.alloc(64, index)
        backend.copy_in(one, 0, memoryview(bytes(64)), index)
        backend.copy_in(two, 0, memoryview(data)[:64], index)
        require(read(one, 0, 64) == bytes(64), "two buffers share memory")
    with check("copy_device"):
        source, to = backend.alloc(1000, index), backend.alloc(1000, index)
        backend.copy_in(source, 0, memoryview(data), index)
        backend.copy_in(to, 0, memoryview(bytes(1000)), index)
        backend.copy_device(to, 10, source, 20, 30, index)
        want = bytes(10) + data[20:50] + bytes(960)
        require(read(to, 0, 1000) == want, "copy_device wrote other bytes")
    with check("nothing"):
        buffer = backend.alloc(0, index)
        backend.copy_device(buffer, 0, buffer, 0, 0, index)
    with check("read_only_source"):
        buffer = backend.alloc(8, index)
        backend.copy_in(buffer, 0, memoryview(b"12345678").toreadonly(), index)
        require(read(buffer, 0, 8) == b"12345678", "other bytes came back")


def _copies(config: Config, what: dtype, check: Checks) -> None:
    """Tensors of a dtype to the device and back."""
    place, make = config.place, Maker(what, "copies", config.seed)
    for shape in ((), (1,), (0,), (3, 0), (3, 4), (2, 3, 4, 5)):
        name = "x".join(map(str, shape)) or "0d"
        with check(f"{name}/round_trip"):
            values = to_host(make(*shape))
            there = flambeau.from_numpy(values.copy()).to(place)
            require(there.device is place, f"it is on {there.device}")
            require(there.dtype is what and tuple(there.shape) == shape, "another shape or dtype")
            _same(to_host(there), values)
            _same(to_host(there.to("cpu")), values)
    for pattern, layout_for in PATTERNS.items():
        with check(f"{pattern}/native"):
            t = make(3, 4, 2)
            there = Carrier(place)(arrange(t, layout_for((3, 4, 2))))
            _same(to_host(there), to_host(t))
    with check("views/native"):
        t = make(4, 6)
        there = from_host(to_host(t), kind_of(place, what))
        _same(to_host(there.narrow(0, 1, 2).t()), to_host(t)[1:3].T)
        shared = there.narrow(0, 1, 2).storage_() is there.storage_()
        require(shared, "a view has other memory than its base")
    with check("native/layout"):
        layout = Layout.of((2, 3), (1, 4), 5)
        native = config.backend.native(config.backend.alloc(256, config.index), what, layout)
        require(tuple(native.shape) == (2, 3), f"native() gave shape {native.shape}")
        native = config.backend.native(
            config.backend.alloc(0, config.index), what, Layout.contiguous((0, 3)))
        require(tuple(native.shape) == (0, 3), f"native() of no elements: {native.shape}")


def _same(got: Any, want: Any) -> None:
    same = np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(want).tobytes()
    require(same, f"other bits came back:\n  got  {got!r}\n  want {want!r}")


# ---- claims --------------------------------------------------------------------------------------
def _capabilities(config: Config, check: Checks) -> None:
    claims = config.capabilities
    with check("type"):
        require(isinstance(claims, Capabilities), f"capabilities() gave {claims!r}")
    with check("dtypes"):
        known = all(isinstance(d, dtype) for d in claims.dtypes)
        require(known and bool(claims.dtypes), f"no set of dtypes: {claims.dtypes!r}")
        need = {dtypes.bool, dtypes.int64, dtypes.float32} - claims.dtypes
        require(not need, f"every device holds bool, int64 and float32; missing: {need}")
    with check("total_memory"):
        total = claims.total_memory
        require(total is None or total > 0, f"total_memory is {total!r}")


def _unclaimed(config: Config, what: dtype, check: Checks) -> None:
    with check("refused"):
        t = flambeau.zeros(2, dtype=what)
        _refuses(lambda: t.to(config.place), UnsupportedDtypeError)
