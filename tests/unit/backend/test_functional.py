"""Mutable memory with strided views over arrays that are never changed."""

from __future__ import annotations

import copy
import itertools
import subprocess
import sys
from typing import Any

import frozen
import numpy as np
import pytest
from frozen import Frozen, FrozenArrays, backend_of, eagerly, lazily
from hypothesis import given
from hypothesis import strategies as st

import flambeau
from flambeau.backend import BackendError, Layout, OutOfMemoryError, dtypes
from flambeau.backend.functional import Buffer, FunctionalBackend, FunctionTable, Runtime
from flambeau.backend.functional.pending import CHECKS, WRITES
from flambeau.backend.functional.places import gather_places, grid_of
from flambeau.plugins import register_backend

_numbers = itertools.count()


def new_device(library: FrozenArrays | None = None) -> tuple[str, FunctionalBackend]:
    """A device type that no other test uses."""
    backend = backend_of(f"frozen{next(_numbers)}", library)
    register_backend(backend)
    return backend.name, backend


EAGER, _ = new_device()
LAZY, LAZY_BACKEND = new_device(FrozenArrays(lazily))


@pytest.fixture(params=[eagerly, lazily])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return Runtime(FrozenArrays(request.param))


def buffer_of(runtime: Runtime, values: Any) -> Buffer:
    array = np.asarray(values)
    made = Buffer(runtime, array.nbytes, 0)
    made.from_bytes(0, array.tobytes())
    return made


def strided(elements: Any, layout: Layout) -> Any:
    strides = [s * elements.itemsize for s in layout.strides]
    return np.lib.stride_tricks.as_strided(elements[layout.offset :], layout.shape, strides)


# ---- layouts as slices ---------------------------------------------------------------------------
@pytest.mark.parametrize(("layout", "count", "shape", "part", "order"), [
    (Layout.of((3, 4), (1, 3)), 12, (4, 3), (slice(0, 4, 1), slice(0, 3, 1)), (1, 0)),
    (Layout.of((2, 2), (6, 1), 7), 24, (4, 6), (slice(1, 3, 1), slice(1, 3, 1)), (0, 1)),
    (Layout.of((5,), (2,), 3), 20, (20,), (slice(3, 12, 2),), (0,)),
    (Layout.of((2, 2, 2), (12, 1, 4), 1), 24, (2, 3, 4),
     (slice(0, 2, 1), slice(0, 2, 1), slice(1, 3, 1)), (0, 2, 1)),
    (Layout.of((1, 3, 1), (99, 2, 7), 1), 8, (8,), (slice(1, 6, 2),), (0,)),
    (Layout.of((), (), 4), 9, (9,), (slice(4, 5, 1),), (0,)),
])  # fmt: skip
def test_a_part_of_a_larger_array_is_slices(
    layout: Layout, count: int, shape: Any, part: Any, order: Any
) -> None:
    grid = grid_of(layout, count)
    assert grid is not None
    assert (grid.shape, grid.part, grid.order) == (shape, part, order)


@pytest.mark.parametrize(("layout", "count"), [
    (Layout.of((2, 3), (3, 2)), 9),  # the rows overlap
    (Layout.of((2, 2, 2), (7, 3, 1)), 14),  # no strides of one array
    (Layout.of((3, 2), (4, 1)), 10),  # the last row is cut off
    (Layout.of((2, 3), (4, 1), 2), 12),  # it wraps around
])  # fmt: skip
def test_what_is_no_part_is_gathered(layout: Layout, count: int) -> None:
    assert grid_of(layout, count) is None
    assert (gather_places(layout) == strided(np.arange(count), layout)).all()


@st.composite
def layouts(draw: Any) -> Layout:
    """Any order of dimensions, gaps between them, an offset."""
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    strides, step = [0] * len(shape), draw(st.integers(1, 2))
    for d in draw(st.permutations(range(len(shape)))):
        strides[d] = step
        step *= max(shape[d], 1) + draw(st.integers(0, 1))
    return Layout.of(shape, strides, draw(st.integers(0, 3)))


@given(steps=st.lists(st.tuples(layouts(), st.booleans(), st.integers(0, 99)), max_size=6),
       margin=st.integers(0, 9), call=st.sampled_from([eagerly, lazily]))
def test_memory_reads_and_writes_as_numpy_does(steps: Any, margin: int, call: Any) -> None:
    count = max([layout.span() for layout, _, _ in steps], default=1) + margin
    elements = np.arange(count, dtype=np.int32)
    buffer = buffer_of(Runtime(FrozenArrays(call)), elements)
    for layout, writes, start in steps:
        if writes:
            values = np.arange(start, start + layout.numel, dtype=np.int32).reshape(layout.shape)
            strided(elements, layout)[...] = values
            buffer.write(dtypes.int32, layout, frozen.frozen(values))
        read = buffer.read(dtypes.int32, layout)
        assert read.shape == tuple(layout.shape)
        assert (read.values == strided(elements, layout)).all()
    assert bytes(buffer.to_bytes(0, buffer.nbytes)) == elements.tobytes()


def test_a_repeated_dimension_is_broadcast(runtime: Runtime) -> None:
    buffer = buffer_of(runtime, np.arange(6, dtype=np.float32))
    read = buffer.read(dtypes.float32, Layout.of((3, 2, 4), (2, 1, 0)))
    assert (read.values == np.arange(6).reshape(3, 2, 1) + np.zeros(4)).all()


# ---- contents ------------------------------------------------------------------------------------
def test_uninitialised_memory_can_be_read_and_partly_written(runtime: Runtime) -> None:
    buffer = Buffer(runtime, 12, 0)
    assert bytes(buffer.to_bytes(4, 4)) == bytes(4)
    buffer.write(dtypes.int32, Layout.of((1,), (1,), 1), frozen.frozen(np.array([7], np.int32)))
    assert buffer.read(dtypes.int32, Layout.contiguous((3,))).values.tolist() == [0, 7, 0]


def test_a_whole_write_keeps_the_array_itself(runtime: Runtime) -> None:
    buffer, values = Buffer(runtime, 24, 0), frozen.frozen(np.ones((2, 3), np.float32))
    buffer.write(dtypes.float32, Layout.contiguous((2, 3)), values)
    assert buffer.read(dtypes.float32, Layout.contiguous((2, 3))) is values


def test_the_same_bytes_as_another_dtype(runtime: Runtime) -> None:
    values = np.array([1.0, -2.0, 3.5], np.float32)
    buffer = buffer_of(runtime, values)
    buffer.read(dtypes.float32, Layout.contiguous((3,)))
    bits = buffer.read(dtypes.int32, Layout.contiguous((3,)))
    assert (bits.values == values.view(np.int32)).all()
    raw = frozen.frozen(np.array([0], np.uint8))
    buffer.write(dtypes.uint8, Layout.of((1,), (1,), 7), raw)  # the sign and exponent of -2
    changed = buffer.read(dtypes.float32, Layout.contiguous((3,))).values
    assert changed[0] == 1 and 0 <= changed[1] < 1e-30 and changed[2] == 3.5


def test_bytes_that_do_not_come_out_even(runtime: Runtime) -> None:
    data = np.arange(10, dtype=np.uint8)
    buffer = buffer_of(runtime, data)
    assert buffer.read(dtypes.int16, Layout.of((5,), (1,))).values.tobytes() == bytes(data)
    four = buffer.read(dtypes.int32, Layout.contiguous((2,)))
    assert four.values.tobytes() == bytes(data[:8])
    buffer.write(dtypes.int32, Layout.of((1,), (1,), 1), frozen.frozen(np.array([-1], np.int32)))
    assert bytes(buffer.to_bytes(0, 10)) == bytes([0, 1, 2, 3, 255, 255, 255, 255, 8, 9])


def test_a_cast_of_bits_that_the_library_lacks_is_a_clear_error() -> None:
    x = flambeau.ones(2, 2).to(EAGER).exp()
    with pytest.raises(BackendError, match="cannot reinterpret float32 as complex64"):
        flambeau.view_as_complex(x).abs()


@pytest.mark.parametrize(("to", "source", "nbytes"), [(4, 8, 4), (3, 1, 5), (0, 0, 16), (0, 4, 12)])
@pytest.mark.parametrize("computed", [False, True])
def test_bytes_are_copied_between_buffers(
    runtime: Runtime, to: int, source: int, nbytes: int, computed: bool
) -> None:
    ours, theirs = (np.arange(n, n + 16, dtype=np.uint8) for n in (0, 100))
    one, other = buffer_of(runtime, ours), buffer_of(runtime, theirs)
    if computed:
        other.read(dtypes.int32, Layout.contiguous((4,)))
    one.copy_from(to, other, source, nbytes)
    ours[to : to + nbytes] = theirs[source : source + nbytes]
    assert bytes(one.to_bytes(0, 16)) == bytes(ours)
    assert bytes(other.to_bytes(0, 16)) == bytes(theirs)


def test_a_part_of_the_bytes_is_replaced_from_the_host(runtime: Runtime) -> None:
    buffer = buffer_of(runtime, np.arange(4, dtype=np.int32))
    buffer.read(dtypes.int32, Layout.contiguous((4,)))
    buffer.from_bytes(4, np.array([9], np.int32).tobytes())
    assert buffer.read(dtypes.int32, Layout.contiguous((4,))).values.tolist() == [0, 9, 2, 3]


# ---- tensors -------------------------------------------------------------------------------------
@pytest.mark.parametrize("device", [EAGER, LAZY])
def test_a_view_sees_what_is_written_through_another(device: str) -> None:
    x = flambeau.arange(6.0, device=device).reshape(2, 3)
    column, turned = x[:, 1], x.t()
    assert turned.tolist() == [[0, 3], [1, 4], [2, 5]]
    column.fill_(10)
    x.add_(1)
    assert turned.tolist() == [[1, 4], [11, 11], [3, 6]]
    assert column.tolist() == [11, 11]


@pytest.mark.parametrize("device", [EAGER, LAZY])
def test_what_was_computed_does_not_change_with_its_input(device: str) -> None:
    x = flambeau.ones(3, device=device)
    copy, y = x.clone(), x + 1
    x.zero_()
    assert (x.tolist(), y.tolist(), copy.tolist()) == ([0, 0, 0], [2, 2, 2], [1, 1, 1])


def test_a_result_is_taken_over_without_a_copy() -> None:
    y = flambeau.ones(3, device=EAGER).exp()
    array = y.native().read()
    assert y.storage_().buffer.array is array
    assert y.view(3, 1).view(3).native().read().values.base is array.values.base


def test_a_whole_copy_shares_the_array_until_one_is_written_to() -> None:
    x = flambeau.ones(4, device=EAGER)
    y = x.clone()
    assert y.native().read() is x.native().read()
    y += 1
    assert (x.tolist(), y.tolist()) == ([1] * 4, [2] * 4)


def test_an_item_is_one_element() -> None:
    x = flambeau.arange(4.0, device=LAZY) * 2
    assert x[3].item() == 6.0 and (x[1] > 1).item() is True
    with pytest.raises(RuntimeError, match="cannot be converted to Scalar"):
        x.item()
    with pytest.raises(ValueError, match="2 elements"):
        x[:2].native().item()


def test_results_are_on_the_device_of_their_inputs() -> None:
    x = flambeau.ones(2, device=f"{EAGER}:1")
    y = (x + 1).exp()
    assert str(y.device) == f"{EAGER}:1" and y.storage_().buffer.index == 1
    assert flambeau.cat([y, y]).storage_().buffer.index == 1


def test_more_memory_than_there_is() -> None:
    with pytest.raises(OutOfMemoryError, match="cannot allocate 8589934592 bytes"):
        flambeau.empty(1 << 31, device=EAGER)


def test_integers_are_divided_exactly_without_doubles() -> None:
    top = [2**63 - 1, -(2**63) + 1, 2**62 + 12345678901, -7, 7]
    low = [3, 7, -1234567, -(2**63), 2]
    x, y = (flambeau.tensor(v).to(EAGER) for v in (top, low))
    assert (x // y).tolist() == [a // b for a, b in zip(top, low, strict=True)]


def test_what_is_computed_in_doubles_elsewhere() -> None:
    x = flambeau.tensor([1, 2, 3]).to(EAGER)
    assert flambeau.isclose(x, x + 1, atol=1.5).tolist() == [True] * 3
    assert flambeau.linspace(0, 9, 4, dtype=flambeau.int64, device=EAGER).tolist() == [0, 3, 6, 9]
    powers = flambeau.logspace(0, 2, 3, device=EAGER)
    assert powers.tolist() == pytest.approx([1, 10, 100], rel=1e-6)
    assert flambeau.copysign(flambeau.ones(2, device=EAGER), -1e-300).tolist() == [-1, -1]
    with pytest.raises(TypeError, match="float64 is not supported"):
        flambeau.float_power(x, 2)


# ---- kernels -------------------------------------------------------------------------------------
def test_functions_with_several_results_with_none_and_that_decline() -> None:
    table = FunctionTable(FrozenArrays())

    @table.override("split_in_two")
    def split(x: Frozen, odd: bool) -> Any:
        return NotImplemented if odd else (x, None)

    native = flambeau.ones(2, device=EAGER).native()
    kernel = table.fresh["split_in_two"]
    first, second = kernel(native, odd=False)
    assert first.read() is native.read() and second is None
    assert kernel(native, odd=True) is NotImplemented
    assert "split_in_two" not in table.out


def test_a_kernel_gets_lists_as_arrays_and_the_rest_as_it_is() -> None:
    table, seen = FunctionTable(FrozenArrays()), []

    @table.function("joined")
    def joined(parts: Any, number: float, left_out: Any, *, dim: int) -> Any:
        seen.extend([*parts, number, left_out, dim])
        return parts[0]

    native = flambeau.ones(2, device=EAGER).native()
    table.fresh["joined"]([native, native], 2.0, None, dim=1)
    assert [type(v) for v in seen] == [Frozen, Frozen, float, type(None), int]


def test_an_output_is_converted_and_broadcast() -> None:
    table = FunctionTable(FrozenArrays())
    table.function("one")(lambda x: frozen.frozen(np.array([1.5])))
    out = flambeau.zeros(2, 3, dtype=flambeau.int32, device=EAGER)
    table.out["one"](out.native(), out.native())
    assert out.tolist() == [[1] * 3] * 2
    wrong = flambeau.zeros(2, device=EAGER)
    table.function("three")(lambda x: frozen.frozen(np.ones(3, np.float32)))
    with pytest.raises(ValueError, match="broadcast"):
        table.out["three"](wrong.native(), wrong.native())


def test_the_adapter_is_loaded_by_those_who_use_it() -> None:
    line = "import flambeau, sys; print('flambeau.backend.functional' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ---- work that is put off ------------------------------------------------------------------------
def test_nothing_is_computed_before_somebody_looks() -> None:
    x = flambeau.ones(3, device=LAZY)
    y = x * 2 + 1
    y[0] = 5
    assert not y.native().read().is_computed
    assert y.tolist() == [5, 3, 3]


def test_a_statistic_that_nobody_reads_is_computed_now_and_then() -> None:
    total, steps = flambeau.zeros(2, device=LAZY), 3 * WRITES
    before = Frozen.computed
    for _ in range(steps):
        total += 1
    assert Frozen.computed - before > WRITES
    assert total.tolist() == [steps] * 2


def test_what_is_dropped_before_is_never_computed() -> None:
    LAZY_BACKEND.synchronize(0)
    x = flambeau.ones(2, device=LAZY)
    native = (x.exp() + 1).native()
    array, native = native.read(), None
    LAZY_BACKEND.synchronize(0)
    assert not array.is_computed


def test_synchronize_computes_everything() -> None:
    x = flambeau.ones(2, device=LAZY) + 1
    waited = LAZY_BACKEND.kernels.runtime.library.waited
    LAZY_BACKEND.synchronize(0)
    assert x.native().read().is_computed
    assert LAZY_BACKEND.kernels.runtime.library.waited == waited + 1


@pytest.mark.parametrize("wait", [
    lambda x: LAZY_BACKEND.synchronize(0), lambda x: x.cpu(), lambda x: (x[0] + 1).item(),
], ids=["synchronize", "copy", "item"])
def test_a_check_that_was_put_off_raises_where_the_device_is_waited_for(wait: Any) -> None:
    x = flambeau.ones(3, device=LAZY)
    x.gather(0, flambeau.tensor([1, 3], device=LAZY))
    with pytest.raises(IndexError, match="3 is out of bounds for dimension 0 with size 3"):
        wait(x)
    assert (x + 1).tolist() == [2, 2, 2]  # and then it works again


def test_a_check_among_many_is_kept_until_the_device_is_waited_for() -> None:
    x, bad = flambeau.ones(3, device=LAZY), flambeau.tensor([3], device=LAZY)
    x.gather(0, bad)
    for _ in range(2 * CHECKS):  # by now it has been made, within a kernel that is right
        x.gather(0, bad - 1)
    with pytest.raises(IndexError, match="3 is out of bounds"):
        LAZY_BACKEND.synchronize(0)
    LAZY_BACKEND.synchronize(0)


def test_a_library_that_computes_at_once_is_checked_at_once() -> None:
    x = flambeau.ones(3, device=EAGER)
    with pytest.raises(IndexError, match="-1 is out of bounds"):
        x.gather(0, flambeau.tensor([-1], device=EAGER))


def test_a_model_trains() -> None:
    flambeau.manual_seed(0)
    model = flambeau.nn.Sequential(
        flambeau.nn.Linear(2, 8), flambeau.nn.Tanh(), flambeau.nn.Linear(8, 1))
    x = flambeau.rand(32, 2)
    y = x[:, :1] * x[:, 1:]
    losses = {}
    for device in ("cpu", EAGER, LAZY):
        flambeau.manual_seed(1)
        net = copy.deepcopy(model).to(device)
        optimizer = flambeau.optim.Adam(net.parameters(), lr=0.05)
        for _ in range(20):
            optimizer.zero_grad()
            loss = flambeau.nn.functional.mse_loss(net(x.to(device)), y.to(device))
            loss.backward()
            optimizer.step()
        losses[device] = loss.item()
    assert losses[EAGER] == losses[LAZY] == pytest.approx(losses["cpu"], rel=1e-4)
