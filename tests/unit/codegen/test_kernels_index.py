"""Gather, scatter and indexing, in every form that their kernels have."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from kernel_device import Device, c_backend, opencl_backend

from flambeau.backend import Layout, dtypes
from flambeau.backend.generated import C, Cuda, OpenCL, Traits
from flambeau.backend.generated.places import along, broadcast, indexed_shape
from flambeau.codegen.kernels.index import Indexed

Array = np.ndarray[Any, Any]

FORMS: dict[str, Traits] = {
    "in_order": Traits(group_size=1),
    "own_elements": Traits(group_size=1, units=2, has_atomics=False, has_wide_atomics=False),
    "atomic": Traits(group_size=1, units=1000),
    "lanes": Traits(group_size=1, units=2, lanes=32),
}
"""How items add, by what a device is like."""


@pytest.fixture(params=[*FORMS, "vectors"])
def form(request: Any, monkeypatch: pytest.MonkeyPatch) -> Device:
    """C, as if for devices of several kinds."""
    if request.param == "vectors":
        return Device(opencl_backend())
    monkeypatch.setenv("CFLAGS", "-O0")
    backend = c_backend()
    backend.traits = lambda index: FORMS[request.param]
    return Device(backend, request.param)


def numbers(*shape: int, what: Any = np.float32) -> Array:
    """Small whole numbers: every sum of them is exact."""
    found = np.random.default_rng(0).integers(-8, 8, shape)
    return (found + 1j * found[::-1] if np.dtype(what).kind == "c" else found).astype(what)


def indices(n: int, *shape: int, what: Any = np.int64) -> Array:
    return np.random.default_rng(1).integers(0, n, shape).astype(what)


def added(x: Array, index: Array, rows: Array) -> Array:
    """``x`` with rows added one after the other."""
    result = x.copy()
    for i, row in zip(index.reshape(-1), rows.reshape(index.size, *x.shape[1:]), strict=True):
        result[i] += row
    return result


# ---- values --------------------------------------------------------------------------------------
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_gather(form: Device, dim: int) -> None:
    x = numbers(5, 4, 6).transpose(2, 0, 1)
    index = indices(x.shape[dim], 4, 3, 2)
    want = np.take_along_axis(x[tuple(slice(None) if d == dim else slice(n) for d, n in enumerate(
        index.shape))], index, dim)
    np.testing.assert_array_equal(form.run("gather", x, index, dim=dim), want)


def test_an_index_that_is_repeated_is_not_copied(form: Device) -> None:
    x, index = numbers(7, 50), indices(7, 9)
    wide = np.broadcast_to(index[:, None], (9, 50))
    np.testing.assert_array_equal(form.run("gather", x, wide, dim=0), x[index])


def test_0d(form: Device) -> None:
    x, one = np.array(3, np.float32), np.array(0)
    assert form.run("gather", x, one, dim=0) == 3
    assert form.run("gather", x, np.zeros(4, np.int64), dim=0).tolist() == [3] * 4
    assert form.run("scatter_add", x, one, x, dim=0) == 6


def test_nothing(form: Device) -> None:
    x = numbers(3, 4)
    assert form.run("gather", x, np.zeros((0, 4), np.int64), dim=0).shape == (0, 4)
    np.testing.assert_array_equal(
        form.run("scatter_add", x, np.zeros((0, 4), np.int64), numbers(3, 4), dim=0), x)
    with pytest.raises(IndexError, match="gather.*an index is out of bounds.*size 0"):
        form.run("gather", np.zeros((0, 4), np.float32), np.zeros((1, 4), np.int64), dim=0)


@pytest.mark.parametrize("what", [
    np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, ml_dtypes.bfloat16, np.float32,
    np.float64, np.complex64, np.complex128,
], ids=lambda t: np.dtype(t).name)
def test_scatter_add_of_every_dtype(form: Device, what: Any) -> None:
    x, index, rows = numbers(4, 20, what=what), indices(4, 30), numbers(30, 20, what=what)
    wide = np.broadcast_to(index[:, None], (30, 20))
    np.testing.assert_array_equal(
        form.run("scatter_add", x, wide, rows, dim=0), added(x, index, rows))


def test_half_precision_is_added_in_single(form: Device) -> None:
    ones = np.ones((5000, 1), np.float16)
    found = form.run(
        "scatter_add", np.zeros((1, 1), np.float16), np.zeros((5000, 1), np.int64), ones, dim=0)
    assert found == 5000  # in half precision 2048 + 1 is 2048


def test_scatter_of_numbers_and_tensors(form: Device) -> None:
    x = numbers(4, 5)
    order = np.argsort(np.random.default_rng(2).random((4, 5)), 0)
    want = x.copy()
    np.put_along_axis(want, order[:3], 2.5, 0)
    np.testing.assert_array_equal(form.run("scatter_elements", x, order[:3], 2.5, dim=0), want)
    np.put_along_axis(want, order, numbers(4, 5).T.reshape(4, 5), 0)
    np.testing.assert_array_equal(form.run(
        "scatter_elements", x, order, numbers(4, 5).T.reshape(4, 5), dim=0), want)


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_slices(form: Device, kind: Any) -> None:
    x, index = numbers(6, 7, 3), indices(7, 5, what=kind)
    np.testing.assert_array_equal(form.run("index_select", x, index, dim=1), x[:, index])
    source = numbers(6, 5, 3)
    want = np.moveaxis(added(np.moveaxis(x, 1, 0), index, np.moveaxis(source, 1, 0)), 0, 1)
    np.testing.assert_array_equal(form.run("index_add", x, index, source, dim=1, alpha=1), want)
    want[:, [0, 6]] = 9
    np.testing.assert_array_equal(
        form.run("index_fill", want, np.array([0, -1], kind), 9.0, dim=1), want)


def test_embedding(form: Device) -> None:
    table, index = numbers(10, 24), indices(10, 4, 5)
    found = form.run("embedding_rows", index, table, padding_idx=-1, scale_grad_by_freq=False)
    np.testing.assert_array_equal(found, table[index])
    g = numbers(4, 5, 24)
    want = added(np.zeros((10, 24), np.float32), index, g)
    given: dict[str, Any] = {"num_weights": 10, "scale_grad_by_freq": False}
    np.testing.assert_array_equal(
        form.run("embedding_dense_backward", g, index, padding_idx=-1, **given), want)
    want[3] = 0
    np.testing.assert_array_equal(
        form.run("embedding_dense_backward", g, index, padding_idx=3, **given), want)


@pytest.mark.parametrize("key", [
    (indices(5, 3),), (None, -1 - indices(6, 2, 3)), (indices(5, 4), indices(6, 4)),
    (indices(5, 2, 1), None, indices(4, 3)), (None, indices(6, 2), indices(4, 2)),
], ids=["rows", "columns", "pairs", "apart", "neighbours"])  # fmt: skip
def test_advanced_indexing(form: Device, key: tuple[Any, ...]) -> None:
    x = numbers(5, 6, 4)
    place = tuple(slice(None) if i is None else i for i in key)
    np.testing.assert_array_equal(form.run("index", x, list(key)), x[place])
    values = numbers(*x[place].shape)
    want = x.copy()
    np.add.at(want, place, values)
    np.testing.assert_array_equal(
        form.run("index_put", x, list(key), values, accumulate=True), want)


def test_repeated_indices_are_written_in_order() -> None:
    device = Device(c_backend())
    index = np.array([[2, 2, 2, 0]])
    found = device.run("scatter_elements", np.zeros((1, 3), np.float32), index,
                       np.array([[1, 2, 3, 4]], np.float32), dim=1)
    assert found.tolist() == [[4, 0, 3]]


def test_a_source_that_is_written_to() -> None:
    device = Device(c_backend())
    x = device.put(np.arange(4, dtype=np.float32))
    device.backend.kernels.out["scatter_add"](
        x, x, device.put(np.array([1, 2, 3, 0])), x, dim=0)
    assert device.get(x).tolist() == [3, 1, 3, 5]


# ---- out of range --------------------------------------------------------------------------------
@pytest.mark.parametrize("bad", [-1, 3, 2**40])
def test_an_index_out_of_range(form: Device, bad: int) -> None:
    x, index = numbers(3, 4), np.array([[0, 1, bad, 2]])
    with pytest.raises(IndexError, match="gather.*out of bounds for dimension 0 with size 3"):
        form.run("gather", x, index, dim=0)
    with pytest.raises(IndexError, match="scatter_add.*out of bounds"):
        form.run("scatter_add", x, index, numbers(1, 4), dim=0)
    assert form.run("gather", x, index * 0, dim=0).tolist() == x[:1].tolist()


def test_the_error_names_the_index(form: Device) -> None:
    with pytest.raises(IndexError, match=r"index: .* index -9 is out of bounds for dimension 1"):
        form.run("index", numbers(3, 4), [None, np.array([1, -9])])


def test_memory_around_the_table_is_left_alone(form: Device) -> None:
    memory = np.zeros(100, np.float32)
    x = memory[40:52].reshape(3, 4)
    native = form.put(x)
    for bad in (-3, 3, 7):
        with pytest.raises(IndexError):
            form.backend.kernels.out["scatter_elements"](
                native, native, form.put(np.full((1, 4), bad)), 1.0, dim=0)
            form.backend.synchronize(0)
    whole = np.frombuffer(bytes(form.backend.copy_out(native.buffer, 0, 400, 0)), np.float32)
    assert not whole.any()


def test_an_asynchronous_device_raises_when_it_is_waited_for() -> None:
    device = Device(opencl_backend())
    backend = device.backend
    x, index = device.put(numbers(3, 4)), device.put(np.array([[0, 1, 7, 2]]))
    backend.kernels.fresh["gather"](x, index, dim=0)
    with pytest.raises(IndexError, match="index 7"):
        backend.synchronize(0)
    backend.synchronize(0)  # said once
    found = backend.kernels.fresh["gather"](x, index, dim=0)
    with pytest.raises(IndexError, match="index 7"):
        device.get(found)


def test_devices_are_not_asked_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(opencl_backend())
    x = device.put(numbers(3, 4))
    device.backend.synchronize(0)
    reads: list[Any] = []
    monkeypatch.setattr(device.backend.flags, "_backend", reads)
    device.backend.kernels.fresh["neg"](x)
    device.backend.synchronize(0)  # a look at the flags would fail


# ---- places --------------------------------------------------------------------------------------
def test_places_of_a_gather() -> None:
    found = along(Layout.of((5, 6), (6, 1), 2), 0, Layout.contiguous((3, 6)), None)
    assert (found.shape, found.table) == ((3, 6), (2, (0, 1)))
    assert (found.extents, found.jumps) == ((5,), (6,))


@pytest.mark.parametrize(("dims", "shape", "front"), [
    ((0,), (7, 4, 5), 0), ((1,), (3, 7, 5), 1), ((0, 2), (7, 4), 0), ((1, 2), (3, 7), 1)])
def test_where_the_indices_stand(
    dims: tuple[int, ...], shape: tuple[int, ...], front: int
) -> None:
    table, given = Layout.contiguous((3, 4, 5)), {d: Layout.contiguous((7,)) for d in dims}
    assert indexed_shape(table, given) == (shape, front)
    found = broadcast(table, given, Layout.contiguous(shape))
    assert all(i.strides[front] == 1 and sum(i.strides) == 1 for i in found.indices)


# ---- texts ---------------------------------------------------------------------------------------
def spec(**changes: Any) -> Indexed:
    given: dict[str, Any] = {
        "name": "test", "action": "read", "table": dtypes.float32, "value": dtypes.float32,
        "indices": (dtypes.int64,), "items": 1, "steps": ("01", "?1", "?0"), "index": "i32",
        "group_size": 64}
    return Indexed(**given | changes)


@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_an_index_of_a_row_is_read_once(dialect: Any) -> None:
    text = spec().source(dialect).text
    assert text.index("= index_0[") < text.index("for (int i_ ")
    assert text.count("index_0[") == 1


@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
@pytest.mark.parametrize("action", ["read", "set", "add", "atomic"])
def test_memory_is_reached_only_with_an_index_in_range(dialect: Any, action: Any) -> None:
    text = spec(action=action).source(dialect).text
    guard = text.index("inside_ ?") if action == "read" else text.index("if (inside_)")
    assert guard < text.rindex("table")
    assert "flags[0] = code;" in text
    assert ("fb_atomic_add_f32(table" in text) == (action == "atomic")


def test_neighbours_are_handled_as_vectors() -> None:
    steps = {"steps": ("0?", "??", "?0"), "items": 2, "width": 16}
    text = spec(**steps).source(OpenCL()).text
    assert re.search(r"vstore16\(vload16\(0, table \+ \(at_\d\)\), 0, value \+ \(p_\d\)\);", text)
    text = spec(action="add", **steps).source(OpenCL()).text
    assert "vload16(0, table + (at_2)) + vload16(0, value + (p_2))" in text
    with pytest.raises(NotImplementedError, match="cuda: no vectors"):
        spec(**steps).source(Cuda())


@pytest.mark.parametrize(("width", "what", "want"), [
    (48, np.float32, 16), (24, np.float32, 8), (4, np.int64, 4), (5, np.float32, 1),
    (48, np.complex64, 1), (48, np.float16, 1), (48, np.bool_, 1)])
def test_which_rows_are_vectors(
    monkeypatch: pytest.MonkeyPatch, width: int, what: Any, want: int
) -> None:
    seen = []
    source = Indexed.source
    monkeypatch.setattr(
        Indexed, "source", lambda self, d: (seen.append(self.width), source(self, d))[1])
    device = Device(opencl_backend())
    x = np.ones((3, width), what)
    found = device.run("index_select", x, np.array([2, 0]), dim=0)
    np.testing.assert_array_equal(found, x[[2, 0]])
    assert seen == [want]


def test_parameters_are_listed_in_order() -> None:
    source = spec(wraps=True, skips=True, action="set", value=None, steps=("01", "?0")).source(
        OpenCL())
    assert [p.name for p in source.parameters] == [
        "table", "index_0", "flags", "count", "start_table", "start_index_0", "size_1",
        "step_index_0_0", "extent_0", "jump_0", "code", "skip", "number"]
