"""Generated kernels on an OpenCL device, against kernels written by hand for the same work.

    python benchmarks/opencl_kernels.py --rounds 15
    python benchmarks/opencl_kernels.py --clblast /usr/lib/x86_64-linux-gnu/libclblast.so.1

Both run in one process in turns; a ratio is the hand-written time over ours, the median over the
rounds, so that other load on the machine meets both.  CLBlast takes part if it is found.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pyopencl as cl

import flambeau as fb
import flambeau.nn.functional as F
from flambeau.plugins import backend_for

HAND = """
#pragma OPENCL FP_CONTRACT OFF
__kernel void add(__global const float *a, __global const float *b, __global float *o) {
  const int i = get_global_id(0);
  vstore16(vload16(i, a) + vload16(i, b), i, o);
}

__kernel void gelu(__global const float *a, __global float *o) {
  const int i = get_global_id(0);
  o[i] = 0.5f * a[i] * (1.0f + erf(a[i] * 0.70710678f));
}

__kernel void partial_sums(__global const float *a, __global float *o, int each) {
  const int i = get_global_id(0);
  float16 s = 0.0f, t = 0.0f, u = 0.0f, v = 0.0f;
  __global const float *p = a + (size_t)i * each;
  for (int k = 0; k < each; k += 64) {
    s += vload16(0, p + k); t += vload16(0, p + k + 16);
    u += vload16(0, p + k + 32); v += vload16(0, p + k + 48);
  }
  s += t + u + v;
  const float8 h = s.lo + s.hi; const float4 q = h.lo + h.hi; const float2 d = q.lo + q.hi;
  o[i] = d.x + d.y;
}

__kernel void last_sums(__global const float *a, __global float *o, int count) {
  float s = 0.0f;
  for (int i = 0; i < count; ++i) s += a[i];
  o[0] = s;
}

__kernel void pack(__global const float *b, __global float *p, int n, int inner) {
  const int k = get_global_id(0), panel = get_global_id(1);
  __global const float *from = b + (size_t)k * n + panel * 32;
  __global float *to = p + ((size_t)panel * inner + k) * 32;
  vstore16(vload16(0, from), 0, to);
  vstore16(vload16(1, from), 1, to);
}

#define ROW(r) { const float x = a[(row + r) * (size_t)inner + k]; \\
  s##r = fma((float16)x, y, s##r); t##r = fma((float16)x, z, t##r); }
#define OUT(r) { vstore16(s##r, 0, o + (row + r) * (size_t)n + panel * 32); \\
  vstore16(t##r, 1, o + (row + r) * (size_t)n + panel * 32); }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gemm(__global const float *a, __global const float *p, __global float *o, int n, int inner) {
  const int row = get_global_id(0) * 8, panel = get_global_id(1);
  float16 s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
  float16 t0 = 0, t1 = 0, t2 = 0, t3 = 0, t4 = 0, t5 = 0, t6 = 0, t7 = 0;
  __global const float *from = p + (size_t)panel * inner * 32;
  for (int k = 0; k < inner; ++k) {
    const float16 y = vload16(0, from + k * 32), z = vload16(1, from + k * 32);
    ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5) ROW(6) ROW(7)
  }
  OUT(0) OUT(1) OUT(2) OUT(3) OUT(4) OUT(5) OUT(6) OUT(7)
}

__kernel void columns(__global const float *x, __global float *p, int channels, int size) {
  const int panel = get_global_id(0), tap = get_global_id(1), image = get_global_id(2);
  const int c = tap / 9, dy = tap % 9 / 3 - 1, dx = tap % 3 - 1;
  __global const float *plane = x + ((size_t)image * channels + c) * size * size;
  const int panels = size * size / 32, inner = channels * 9;
  __global float *to = p + (((size_t)image * panels + panel) * inner + tap) * 32;
  for (int i = 0; i < 32; ++i) {
    const int at = panel * 32 + i, h = at / size + dy, w = at % size + dx;
    to[i] = h >= 0 && h < size && w >= 0 && w < size ? plane[h * size + w] : 0.0f;
  }
}
"""


@dataclass
class Pair:
    """The same work twice.

    Attributes:
        work: what a second is divided into, and its unit.
        ours, hand: start it.
        results: give the results, to be compared.
    """

    name: str
    work: float
    unit: str
    ours: Callable[[], Any]
    hand: Callable[[], Any]
    results: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None


class Hand:
    """Kernels written by hand, on the device of the backend."""

    def __init__(self, device: Any) -> None:
        self.context = cl.Context([device])
        self.queue = cl.CommandQueue(self.context)
        self.kept: list[Any] = []  # a kernel does not keep its buffers alive
        self.program = cl.Program(self.context, HAND).build(["-cl-std=CL1.2"])

    def put(self, array: np.ndarray) -> Any:
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        return cl.Buffer(self.context, flags, hostbuf=array)

    def empty(self, count: int) -> Any:
        return cl.Buffer(self.context, cl.mem_flags.READ_WRITE, 4 * count)

    def get(self, buffer: Any, *shape: int) -> np.ndarray:
        out = np.empty(shape, np.float32)
        cl.enqueue_copy(self.queue, out, buffer)
        return out

    def kernel(
        self, name: str, size: tuple[int, ...], local: tuple[int, ...] | None, *arguments: Any
    ) -> Callable[[], Any]:
        made = cl.Kernel(self.program, name)
        made.set_args(*arguments)
        self.kept.append(arguments)
        return lambda: cl.enqueue_nd_range_kernel(self.queue, made, size, local)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def both(*starts: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        for start in starts:
            start()

    return run


def pairs(hand: Hand, count: int) -> list[Pair]:
    """All that is measured."""
    x = drawn(count)
    here, there, out = fb.tensor(x).to("opencl"), hand.put(x), hand.empty(count)
    small, few = fb.ones(64).to("opencl"), hand.empty(64)
    pieces = 64
    partial = hand.empty(pieces)
    groups = (64,)
    result = [
        Pair("launch", 1, "launches/s", lambda: small + small,
             hand.kernel("add", (4,), None, few, few, few)),
        Pair("add", 12 * count / 1e9, "GB/s", lambda: here + here,
             hand.kernel("add", (count // 16,), groups, there, there, out),
             lambda: ((here + here).cpu().numpy(), hand.get(out, count))),
        Pair("gelu", 8 * count / 1e9, "GB/s", lambda: F.gelu(here),
             hand.kernel("gelu", (count,), groups, there, out),
             lambda: (F.gelu(here).cpu().numpy(), hand.get(out, count))),
        Pair("sum", 4 * count / 1e9, "GB/s", here.sum, both(
            hand.kernel("partial_sums", (pieces,), (1,), there, partial,
                        np.int32(count // pieces)),
            hand.kernel("last_sums", (1,), None, partial, few, np.int32(pieces)))),
    ]
    return [*result, gemm(hand, 1024), conv(hand, 32, 64, 32)]


def gemm(hand: Hand, n: int) -> Pair:
    a = drawn(n, n)
    here, there = fb.tensor(a).to("opencl"), hand.put(a)
    panels, out = hand.empty(n * n), hand.empty(n * n)
    run = both(
        hand.kernel("pack", (n, n // 32), None, there, panels, np.int32(n), np.int32(n)),
        hand.kernel("gemm", (n // 8, n // 32), (1, 1), there, panels, out, np.int32(n),
                    np.int32(n)))
    return Pair(f"gemm {n}", 2 * n**3 / 1e9, "GF/s", lambda: here @ here, run,
                lambda: ((here @ here).cpu().numpy(), hand.get(out, n, n)))


def conv(hand: Hand, images: int, channels: int, size: int) -> Pair:
    """3 x 3, padded, as many channels out as in."""
    x, w = drawn(images, channels, size, size), drawn(channels, channels, 3, 3)
    here, weight = fb.tensor(x).to("opencl"), fb.tensor(w).to("opencl")
    there, rows = hand.put(x), hand.put(w)
    area, inner = size * size, channels * 9
    panels, flat = hand.empty(images * inner * area), hand.empty(images * channels * area)
    # the images' panels lie one behind the other: a product of all rows with all panels at once
    run = both(
        hand.kernel("columns", (area // 32, inner, images), None, there, panels,
                    np.int32(channels), np.int32(size)),
        hand.kernel("gemm", (channels // 8, images * area // 32), (1, 1), rows, panels, flat,
                    np.int32(images * area), np.int32(inner)))
    return Pair(
        f"conv {images}x{channels}x{size}x{size}", 2 * images * channels * inner * area / 1e9,
        "GF/s", lambda: F.conv2d(here, weight, padding=1), run,
        lambda: (F.conv2d(here, weight, padding=1).cpu().numpy(), np.moveaxis(
            hand.get(flat, channels, images, size, size), 1, 0)))


class CLBlast:
    """Single-precision products by CLBlast."""

    def __init__(self, path: str, hand: Hand, n: int) -> None:
        self.library, self.hand, self.n = ctypes.CDLL(path), hand, n
        self.a, self.c = hand.put(drawn(n, n)), hand.empty(n * n)

    def run(self) -> None:
        n, size = self.n, ctypes.c_size_t
        queue = ctypes.c_void_p(self.hand.queue.int_ptr)
        a, c = ctypes.c_void_p(self.a.int_ptr), ctypes.c_void_p(self.c.int_ptr)
        status = self.library.CLBlastSgemm(
            101, 111, 111, size(n), size(n), size(n), ctypes.c_float(1.0), a, size(0), size(n), a,
            size(0), size(n), ctypes.c_float(0.0), c, size(0), size(n), ctypes.byref(queue), None)
        if status:
            raise RuntimeError(f"CLBlastSgemm: status {status}")


def timed(start: Callable[[], Any], wait: Callable[[], Any], repeats: int) -> float:
    """Seconds of one run."""
    wait()
    begin = time.perf_counter()
    for _ in range(repeats):
        start()
    wait()
    return (time.perf_counter() - begin) / repeats


def measure(
    pair: Pair, rounds: int, wait: tuple[Callable[[], Any], Callable[[], Any]],
    third: Callable[[], Any] | None,
) -> str:
    """One line of the table."""
    if pair.results is not None:
        pair.hand()
        np.testing.assert_allclose(*pair.results(), rtol=1e-3, atol=1e-3)
    pair.ours()
    first = timed(pair.ours, wait[0], 3)
    repeats = max(1, int(0.02 / first))
    times: list[tuple[float, ...]] = []
    for _ in range(rounds):
        row = [timed(pair.ours, wait[0], repeats), timed(pair.hand, wait[1], repeats)]
        if third is not None:
            row.append(timed(third, wait[1], repeats))
        times.append(tuple(row))
    best = [min(column) for column in zip(*times, strict=True)]
    ratio = median(row[1] / row[0] for row in times)
    line = (f"{pair.name:20} {pair.unit:10} {pair.work / best[0]:10.1f} "
            f"{pair.work / best[1]:10.1f} {ratio:7.2f}")
    if third is not None:
        ratio = median(row[2] / row[0] for row in times)
        line += f"   CLBlast {pair.work / best[2]:.1f}, ratio {ratio:.2f}"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--elements", type=int, default=1 << 24)
    parser.add_argument("--clblast", default=ctypes.util.find_library("clblast"))
    given = parser.parse_args()
    backend: Any = backend_for("opencl")
    hand = Hand(backend._queues[0].device)
    wait = (lambda: backend.synchronize(0), hand.queue.finish)
    blast = CLBlast(given.clblast, hand, 1024) if given.clblast else None
    print(f"{backend.device_info(0)['name']}; {given.elements} elements, {given.rounds} rounds")
    print(f"{'':20} {'':10} {'ours':>10} {'by hand':>10} {'ratio':>7}")
    for pair in pairs(hand, given.elements):
        is_gemm = pair.name.startswith("gemm") and blast is not None
        print(measure(pair, given.rounds, wait, blast.run if is_gemm and blast else None),
              flush=True)


if __name__ == "__main__":
    main()
