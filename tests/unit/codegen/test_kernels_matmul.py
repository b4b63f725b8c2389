"""Generated matrix products against NumPy's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kernel_device import Device, opencl_backend
from recorder import GPU, Recorder

from flambeau import dtypes
from flambeau.backend.generated import C, Cuda, Dialect, OpenCL, Traits
from flambeau.backend.generated.products import Operands, operands, oriented, tile_for, variants
from flambeau.backend.generated.tuning import Tuner
from flambeau.codegen.kernels.matmul import Matmul, Tile
from flambeau.codegen.kernels.panels import Pack
from flambeau.layout import Layout

Array = np.ndarray[Any, Any]


def draw(seed: int, *shape: int, dtype: Any = np.float32) -> Array:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 100, shape).astype(dtype)
    if np.dtype(dtype).kind == "c":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def check(device: Device, a: Array, b: Array, tolerance: float = 1e-5) -> None:
    got = device.run("matmul", a, b)
    wide = a.dtype if a.dtype.kind in "iuc" else np.float64
    want = (a.astype(wide) @ b.astype(wide)).astype(a.dtype)
    assert got.dtype == a.dtype
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * 20)


@pytest.mark.parametrize(("a", "b"), [
    ((9,), (9,)), ((5, 9), (9,)), ((9,), (9, 7)), ((3, 1, 9, 8), (2, 8, 5)), ((8,), (2, 8, 5)),
    ((2, 6, 8), (8,)), ((3, 0), (0, 3)), ((33, 17), (17, 29)), ((70, 130), (130, 67)),
    ((3, 40, 33), (33, 70)), ((2, 70, 65), (2, 65, 70)), ((1, 300), (300, 70)),
    ((300, 70), (70, 2)), ((1300,), (1300,)), ((70, 301), (301,)), ((3, 5, 130), (130,)),
], ids=str)
def test_shapes(device: Device, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    check(device, draw(0, *a), draw(1, *b))


def test_nothing_is_launched_for_no_elements(c_device: Device) -> None:
    assert c_device.run("matmul", draw(0, 0, 4), draw(1, 4, 3)).shape == (0, 3)
    assert c_device.run("matmul", draw(0, 2, 0, 3, 4), draw(1, 4, 5)).shape == (2, 0, 3, 5)


def test_strides(device: Device) -> None:
    a, b = draw(0, 150, 80), draw(1, 90, 150)
    check(device, a.T, b.T)
    check(device, a.T[3:77, ::2], b.T[::2, 5:])
    check(device, np.broadcast_to(a[:1], (40, 80)), np.broadcast_to(b[:, :1], (90, 70))[:80])
    batch = draw(2, 7, 2, 36, 40).transpose(1, 0, 3, 2)
    check(device, batch, draw(3, 36, 40))
    check(device, draw(3, 41, 40), batch)


@pytest.mark.parametrize("dtype", [
    np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float64, np.complex64])
def test_dtypes(device: Device, dtype: Any) -> None:
    check(device, draw(0, 9, 20, dtype=dtype), draw(1, 20, 35, dtype=dtype),
          1e-3 if dtype is np.float16 else 1e-5)
    check(device, draw(0, 37, 20, dtype=dtype), draw(1, 35, 20, dtype=dtype).T,
          1e-3 if dtype is np.float16 else 1e-5)


def test_half_precision_sums_in_single(device: Device) -> None:
    a = np.full((1, 4096), 1, np.float16)
    assert device.run("matmul", a, a.T).item() == 4096  # sums of halves stop at 2048


def test_same_bits_whatever_the_tile(device: Device) -> None:
    """All sums run in order, so a part of a product is the product of the parts."""
    a, b = draw(0, 65, 90), draw(1, 90, 77)
    whole = device.run("matmul", a, b)
    np.testing.assert_array_equal(whole[:3, :5], device.run("matmul", a[:3], b[:, :5]))


# ---- with an addend ------------------------------------------------------------------------------
def test_addmm(device: Device) -> None:
    a, b = draw(0, 40, 33), draw(1, 33, 70)
    for addend in (draw(2, 40, 70), draw(2, 70), draw(2, 40, 1), draw(2, 70, 40).T):
        got = device.run("addmm", addend, a, b, beta=0.5, alpha=-2.0)
        np.testing.assert_allclose(got, 0.5 * addend - 2 * (a @ b), rtol=1e-4, atol=1e-4)
        got = device.run("addmm", addend, a, b, beta=1, alpha=1)
        np.testing.assert_allclose(got, addend + a @ b, rtol=1e-4, atol=1e-4)
    nothing = np.full(70, np.nan, np.float32)
    got = device.run("addmm", nothing, a, b, beta=0, alpha=3)
    np.testing.assert_allclose(got, 3 * (a @ b), rtol=1e-4, atol=1e-4)


def test_factors_of_integers_are_truncated(device: Device) -> None:
    a, b = draw(0, 5, 6, dtype=np.int64), draw(1, 6, 7, dtype=np.int64)
    got = device.run("addmm", b[0], a, b, beta=2.9, alpha=3.9)
    np.testing.assert_array_equal(got, 2 * b[0] + 3 * (a @ b))


def test_baddbmm(device: Device) -> None:
    a, b, c = draw(0, 3, 40, 33), draw(1, 3, 33, 70), draw(2, 3, 1, 70)
    got = device.run("baddbmm", c, a, b, beta=0.5, alpha=2.0)
    np.testing.assert_allclose(got, 0.5 * c + 2 * (a @ b), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lead", [(), (3,), (2, 35), (2, 3, 5)])
def test_linear(device: Device, lead: tuple[int, ...]) -> None:
    x, w, b = draw(0, *lead, 33), draw(1, 70, 33), draw(2, 70)
    np.testing.assert_allclose(device.run("linear", x, w, b), x @ w.T + b, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(device.run("linear", x, w, None), x @ w.T, rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_declined(c_device: Device) -> None:
    x, w, b = draw(0, 3, 4), draw(1, 5, 4), draw(2, 5)
    run = c_device.native
    for op, given, options in (
        ("linear", (x, w[0], None), {}), ("linear", (x, w[:, :3], None), {}),
        ("linear", (x, w, b[:4]), {}), ("linear", (x, w, b.astype(np.float64)), {}),
        ("addmm", (b, x, w), {"beta": 1, "alpha": 1}),
        ("addmm", (b[:4], x, w.T), {"beta": 1, "alpha": 1}),
        ("addmm", (b, x, w.T), {"beta": 1j, "alpha": 1}),
        ("baddbmm", (b, x[None], np.stack([w.T, w.T])), {"beta": 1, "alpha": 1}),
    ):
        assert run(op, *given, **options) is NotImplemented, op
    with pytest.raises(ValueError, match="no product of"):
        run("matmul", x, x)


def test_result_that_is_an_operand(device: Device) -> None:
    a = draw(0, 40, 40)
    native = device.put(a)
    device.backend.kernels.out["matmul"](native, native, native)
    np.testing.assert_allclose(device.get(native), a @ a, rtol=1e-4, atol=1e-4)


# ---- looking at layouts --------------------------------------------------------------------------
def test_a_batch_that_shares_its_second_factor_is_one_matrix() -> None:
    a, b = Layout.contiguous((2, 3, 4, 5)), Layout.contiguous((5, 6))
    p = operands(Layout.contiguous((2, 3, 4, 6)), a, b)
    assert (p.m, p.n, p.k, p.sizes) == (24, 6, 5, ())
    assert p.steps == ((6, 1), (5, 1), (6, 1))


def test_few_columns_are_turned_to_rows() -> None:
    p = operands(Layout.contiguous((50, 2)), Layout.contiguous((50, 7)), Layout.contiguous((7, 2)))
    q = oriented(p)
    assert (q.m, q.n, q.is_turned) == (2, 50, True)
    assert q.steps == ((1, 2), (1, 2), (1, 7))
    assert q.turned() == p


def test_variants_are_measured_for_large_products_alone() -> None:
    def of(n: int) -> Operands:
        square = Layout.contiguous((n, n))
        return operands(square, square, square)

    assert len(variants(of(100), dtypes.float32, Traits(), True)) == 1
    several = variants(of(1024), dtypes.float32, Traits(), True)
    assert len(several) > 2 and several[0] == tile_for(of(1024), dtypes.float32, Traits(), True)
    assert len(variants(of(1024), dtypes.float32, Traits(), False)) == 1
    for tile in variants(of(1024), dtypes.float32, GPU, True):
        assert tile.items == GPU.lanes
        assert tile.depth * (tile.height + tile.width) * 4 <= GPU.local_memory


# ---- tuning --------------------------------------------------------------------------------------
def test_the_fastest_is_remembered_on_disk(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("FLAMBEAU_CACHE", str(tmp_path / "cache"))
    backend = Recorder("tuned", OpenCL(), GPU)
    ran: list[float] = []

    def run(seconds: float) -> None:
        ran.append(seconds)
        time.sleep(seconds)

    assert Tuner(backend).choose(("k",), [0.02, 0.001, 0.03], run, 0) == 0.001
    assert ran
    ran.clear()
    assert Tuner(backend).choose(("k",), [0.02, 0.001, 0.03], run, 0) == 0.001
    assert not ran  # another process finds it on disk
    monkeypatch.setenv("FLAMBEAU_TUNING", "off")
    assert Tuner(backend).choose(("other",), [0.02, 0.001], run, 0) == 0.02
    assert not ran


# ---- texts ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("dialect", [C(), OpenCL(), Cuda()], ids=lambda d: d.name)
def test_texts(dialect: Dialect) -> None:
    spec = Matmul(dtypes.float32, Tile(2, 3), 1, ("?1", "?1", "?1", "01"), (False, False), "i32",
                  is_scaled=True)
    text = spec.source(dialect).text
    assert text.count("fma") >= 6
    assert [p.name for p in spec.source(dialect).parameters][-2:] == ["alpha", "beta"]
    assert "fb_pack" in Pack(dtypes.bfloat16, 16, 2, "?1", "i64").source(dialect).text


@pytest.mark.parametrize("dialect", [OpenCL(), Cuda()], ids=lambda d: d.name)
def test_slices_in_local_memory(dialect: Dialect) -> None:
    spec = Matmul(dtypes.float64, Tile(4, 4, 2, 16, 16), 0, ("?1", "?1", "1?"), (False, False),
                  "i32")
    source = spec.source(dialect)
    word = "__local" if dialect.name == "opencl" else "__shared__"
    assert re.search(rf"{word} double slice_a_\[{16 * 8}\]", source.text)
    assert re.search(rf"{word} double slice_b_\[{16 * 64}\]", source.text)
    assert source.text.count(dialect.barrier()) == 2
    assert source.group_size == 32


# ---- mutants -------------------------------------------------------------------------------------
class WithoutBarriers(OpenCL):
    """What a kernel is without its barriers."""

    def barrier(self) -> str:
        return ";"


def test_products_find_a_missing_barrier() -> None:
    a, b = draw(0, 70, 130), draw(1, 130, 67)
    check(Device(opencl_backend(32)), a, b)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check(Device(opencl_backend(32, WithoutBarriers())), a, b)


# ---- compiled for GPUs ---------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.complex64, np.int64])
def test_cuda_compiles(dtype: Any) -> None:
    nvrtc = pytest.importorskip("nvrtc")
    if nvrtc.library() is None:
        pytest.skip("nvidia-cuda-nvrtc-cu12 is not installed")
    backend = Recorder("compiled", Cuda(), GPU)
    device = Device(backend)
    a, b = draw(0, 200, 90, dtype=dtype), draw(1, 90, 160, dtype=dtype)
    device.native("matmul", a, b)
    device.native("matmul", b.T, a.T)
    device.native("matmul", a[0], a[1])
    assert len(backend.sources) == 3
    for source in backend.sources.values():
        size, log = nvrtc.to_cubin(source.text, Cuda.flags, "sm_80")
        assert size, log
