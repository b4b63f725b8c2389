"""Backends with one thing wrong each, to prove that the conformance suite finds it.

Each is the cpu backend with some kernels, methods or claims replaced, through the public API.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from flambeau.backend import KernelTable, MissingKernelError
from flambeau_cpu.device import CpuBackend
from flambeau_cpu.kernels import TABLE

Kernel = Callable[..., Any]
ORIGINAL = TABLE.out


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is wrong with a backend, and what must find it."""

    name: str
    finds: str
    """A glob of the checks of which one must fail."""
    touches: tuple[str, ...]
    """Globs of what may fail; everything else must pass."""
    out: dict[str, Kernel] = field(default_factory=dict)
    """Kernels in place of both forms."""
    fresh: dict[str, Kernel] = field(default_factory=dict)
    """Fresh forms in place of the right ones."""
    methods: dict[str, Any] = field(default_factory=dict)
    """Attributes of the backend's class."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Capabilities that are claimed."""

    def backend(self) -> CpuBackend:
        """The backend, a device type of its own."""
        right = {k: v for k, v in TABLE.fresh.items() if k not in self.out}
        table = KernelTable(ORIGINAL | self.out, right | self.fresh)
        capabilities = replace(CpuBackend._capabilities, **self.claims)
        members: dict[str, Any] = {
            "name": f"mutant_{self.name}", "kernels": table, "_capabilities": capabilities,
        }
        made: CpuBackend = type("MutantBackend", (CpuBackend,), members | self.methods)()
        return made


def _after(name: str, change: Callable[..., None]) -> Kernel:
    """The right kernel, and then a change to its output."""

    def kernel(out: Any, *inputs: Any, **attributes: Any) -> None:
        ORIGINAL[name](out, *inputs, **attributes)
        change(out, *inputs, **attributes)

    return kernel


# ---- strides -----------------------------------------------------------------------------------
def strides_ignored(out: Any, x: Any) -> None:
    """Reads elements in the order of memory."""
    out[...] = np.exp(x.ravel(order="K").reshape(x.shape))


def strides_reversed(out: Any, x: Any) -> None:
    """Takes the strides from the last dimension to the first."""
    if x.ndim == 2 and x.shape[0] == x.shape[1]:
        out[...] = -x.T
    else:
        out[...] = -x if x.flags.c_contiguous else -x.ravel(order="K").reshape(x.shape)


def offset_ignored(self: CpuBackend, buffer: Any, what: Any, layout: Any) -> Any:
    """Starts every array at the beginning of its storage."""
    moved = type(layout).of(layout.shape, layout.strides, 0)
    return CpuBackend.native(self, buffer, what, moved)


def out_strides_ignored(out: Any, a: Any, b: Any) -> None:
    """Writes a strided output as if it were dense."""
    result = np.asarray(a + b, out.dtype)
    dense = np.lib.stride_tricks.as_strided(out, (out.size,), (out.itemsize,))
    dense[...] = result.reshape(-1)


# ---- values ------------------------------------------------------------------------------------
def dtype_dropped(out: Any, a: Any, b: Any) -> None:
    """Has no half precision."""
    if out.dtype == np.float16:
        raise TypeError("no half precision")
    ORIGINAL["add"](out, a, b)


def value_lost(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Leaves the last element of each line out of a sum."""
    axis = dim[-1] if dim else -1
    if x.ndim and x.shape[axis] > 2:
        x = np.moveaxis(np.moveaxis(x, axis, -1)[..., :-1], -1, axis)
    ORIGINAL["sum"](out, x, dim, keepdim)


def last_tile_lost(out: Any, a: Any, b: Any) -> None:
    """Multiplies whole tiles of 32 and forgets the rest of a long row."""
    inner = a.shape[-1]
    if inner > 32:
        kept = inner - inner % 32
        a, b = a[..., :kept], b[..., :kept, :] if b.ndim > 1 else b[:kept]
    ORIGINAL["matmul"](out, a, b)


def half_accumulated(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Adds half precision one by one in half precision."""
    if out.dtype != np.float16 or x.ndim != 1:
        ORIGINAL["sum"](out, x, dim, keepdim)
        return
    total = np.float16(0)
    for value in x:
        total = np.float16(total + value)
    out[...] = total


def last_index_wins(out: Any, x: Any, dim: Any, keepdim: bool) -> None:
    """Gives the last of several greatest values."""
    turned = x.reshape(-1)[::-1] if dim is None else np.flip(x, dim)
    size = turned.size if dim is None else x.shape[dim] if x.ndim else 1
    found = np.argmax(turned, axis=dim if x.ndim else None)
    out[...] = (size - 1 - found).reshape(out.shape)


def duplicates_forgotten(out: Any, x: Any, index: Any, src: Any, dim: int) -> None:
    """Adds once where an index stands twice."""
    np.copyto(out, x)
    if index.size and out.ndim:
        places = list(np.ogrid[tuple(slice(n) for n in index.shape)])
        places[dim] = index
        out[tuple(places)] += src


def shifted(out: Any, x: Any, dim: int) -> None:
    """Leaves each element out of its own running sum."""
    ORIGINAL["cumsum"](out, x, dim)
    if x.ndim:
        out -= x.astype(out.dtype)


def half_away(out: Any, x: Any) -> None:
    """Rounds halves away from zero."""
    out[...] = np.trunc(x + np.copysign(0.5, x)) if x.dtype.kind == "f" else x


def saturated(out: Any, a: Any, b: Any) -> None:
    """Integers stop at their limits."""
    if out.dtype.kind in "iu":
        limits = np.iinfo(out.dtype)
        wide = np.asarray(a, object) + np.asarray(b, object)
        out[...] = np.clip(wide, limits.min, limits.max)
    else:
        ORIGINAL["add"](out, a, b)


def ties_reversed(out: Any, x: Any, dim: int, descending: bool) -> None:
    """Descending order as ascending order turned around."""
    ORIGINAL["sort_stable"](out, x, dim, descending=False)
    if descending and x.ndim:
        for part in out:
            part[...] = np.flip(part, dim).copy()


def unchecked(out: Any, x: Any, index: Any, dim: int) -> None:
    """Reads the last element where an index is out of bounds."""
    if x.ndim and x.shape[dim]:
        index = np.clip(index, 0, x.shape[dim] - 1)
    ORIGINAL["gather"](out, x, index, dim)


# ---- memory ------------------------------------------------------------------------------------
def inputs_overwritten(out: Any, a: Any, b: Any) -> None:
    """Writes the output before the second input is read."""
    out[...] = a
    np.subtract(out, b, out=out)


def written_outside(out: Any, *_: Any, **__: Any) -> None:
    """Writes one element behind the end, where there is memory of the same storage."""
    block = out
    while isinstance(block.base, np.ndarray):
        block = block.base
    room = block.ctypes.data + block.nbytes - (out.ctypes.data + out.nbytes)
    if out.flags.c_contiguous and out.size and room >= out.itemsize:
        beyond = np.lib.stride_tricks.as_strided(out.reshape(-1), (out.size + 1,))
        beyond[-1] = 1


def output_read(out: Any, x: Any) -> None:
    """Adds to what was in the output."""
    keep = out.copy()
    np.sin(x, out)
    if keep.ndim == 2 and not np.shares_memory(out, x):
        out[...] = np.where(np.isnan(keep), out, out + keep)


def empty_refused(out: Any, x: Any) -> None:
    """Looks at the first element, of which there may be none."""
    x.reshape(-1)[0]
    np.absolute(x, out)


def dims_dropped(x: Any, dim: Any, keepdim: bool) -> Any:
    """A fresh form that keeps no dimensions."""
    return TABLE.fresh["sum"](x, dim, False)


def noisy(out: Any, x: Any) -> None:
    """Warns."""
    warnings.warn("rounding down", UserWarning, stacklevel=2)
    ORIGINAL["floor"](out, x)


def missing(out: Any, x: Any) -> None:
    """Is not written yet."""
    raise MissingKernelError("tanh", "mutant_kernel_missing")


# ---- fused kernels -----------------------------------------------------------------------------
def bias_forgotten(x: Any, weight: Any, bias: Any) -> Any:
    """A linear layer without its bias."""
    return np.matmul(x, weight.T)


def gradient_wrong(g: Any, *rest: Any, for_weight: bool, **wanted: bool) -> Any:
    """A weight gradient of the wrong sign."""
    found = TABLE.fresh["linear_grads"](g, *rest, for_weight=for_weight, **wanted)
    if found is NotImplemented or not for_weight:
        return found
    return found[0], -found[1], found[2]


# ---- device methods and claims -------------------------------------------------------------------
def out_of_memory_untyped(self: CpuBackend, nbytes: int, index: int) -> Any:
    """Raises the library's error."""
    if nbytes > 1 << 50:
        raise MemoryError(nbytes)
    return CpuBackend.alloc(self, nbytes, index)


def read_from_the_start(
    self: CpuBackend, buffer: Any, offset: int, nbytes: int, index: int
) -> memoryview:
    """Forgets the offset of a copy."""
    return CpuBackend.copy_out(self, buffer, 0, nbytes, index)


_scratch = np.zeros((64, 64), np.float32)


def shared_scratch(out: Any, x: Any) -> None:
    """Computes in memory that all threads share."""
    if out.shape == (32, 32) and out.dtype == np.float32:
        part = _scratch[:32, :32]
        part[...] = x
        time.sleep(1e-4)
        np.exp(part, out)
    else:
        np.exp(x, out)


_count = iter(range(10**9))


def order_varies(out: Any, x: Any, *rest: Any, **attributes: Any) -> None:
    """Adds in another order every time."""
    ORIGINAL["scatter_add"](out, x, *rest, **attributes)
    if out.size > 200:
        out += np.float32(1e-6) * (next(_count) % 2)


_home = os.getpid()


def only_at_home(out: Any, a: Any, b: Any) -> None:
    """Works in the process that it was loaded in."""
    if os.getpid() != _home:
        raise RuntimeError("the context belongs to another process")
    ORIGINAL["matmul"](out, a, b)


def no_double(out: Any, a: Any, b: Any) -> None:
    """Has no double precision."""
    if out.dtype == np.float64:
        raise NotImplementedError("no double precision on this device")
    ORIGINAL["mul"](out, a, b)


MUTANTS = [
    Mutant("strides_ignored", "L1/exp/float32/2d+reversed/forward", ("L?/exp/*",),
           {"exp": strides_ignored}),
    Mutant("strides_reversed", "L1/neg/float32/2d+scrambled/forward", ("L?/neg/*", "L2/*"),
           {"neg": strides_reversed}),
    Mutant("offset_ignored", "L1/copy/float32/same+gapped/forward", ("L1/*", "L2/*", "L3/*"),
           methods={"native": offset_ignored}),
    Mutant("out_strides_ignored", "L1/add/float32/same/kernel-gapped",
           ("L?/add/*", "L2/*/gradient"),  # which are summed in place
           {"add": out_strides_ignored}, {"add": np.add}),
    Mutant("dtype_dropped", "L1/add/float16/same/forward",
           ("L?/add/float16/*", "L3/linear/float16/*"), {"add": dtype_dropped}),
    Mutant("value_lost", "L1/sum/float32/dim0/forward", ("L?/sum/*", "L2/*", "L3/linear_grads/*"),
           {"sum": value_lost}),
    Mutant("last_tile_lost", "L1/matmul/float32/large/forward",
           ("L1/matmul/*/large*/forward", "L5/*"), {"matmul": last_tile_lost}),
    Mutant("half_accumulated", "L1/sum/float16/long/forward", ("L1/sum/float16/*",),
           {"sum": half_accumulated}),
    Mutant("nan_rule", "L1/maximum/float32/special/forward", ("L1/maximum/float*/special/*",),
           {"maximum": lambda out, a, b: np.fmax(a, b, out)}),
    Mutant("last_index_wins", "L1/argmax/float32/special/forward", ("L1/argmax/*",),
           {"argmax": last_index_wins}),
    Mutant("duplicates_forgotten", "L1/scatter_add/float32/0/forward",
           ("L?/scatter_add/*", "L2/gather/*"), {"scatter_add": duplicates_forgotten}),
    Mutant("off_by_one", "L1/cumsum/float32/0/forward", ("L?/cumsum/*",), {"cumsum": shifted}),
    Mutant("half_away", "L1/round_half_even/float32/special/forward", ("L1/round_half_even/*",),
           {"round_half_even": half_away}),
    Mutant("saturated", "L1/add/int8/special/forward", ("L1/add/*int*/*",), {"add": saturated}),
    Mutant("ties_reversed", "L1/sort_stable/float32/special_descending/forward",
           ("L?/sort_stable/*",), {"sort_stable": ties_reversed}),
    Mutant("unchecked", "L1/gather/errors/*/error", ("L1/gather/*", "L5/errors/*"),
           {"gather": unchecked}),
    Mutant("inputs_overwritten", "L1/sub/float32/same/kernel-alias1", ("L?/sub/*",),
           {"sub": inputs_overwritten}, {"sub": np.subtract}),
    Mutant("written_outside", "L1/mul/float32/same/kernel-contiguous", ("L1/mul/*",),
           {"mul": _after("mul", written_outside)}, {"mul": np.multiply}),
    Mutant("output_read", "L1/sin/float32/2d/kernel-contiguous", ("L?/sin/*",),
           {"sin": output_read}),
    Mutant("empty_refused", "L1/abs/float32/empty/forward", ("L?/abs/*",), {"abs": empty_refused}),
    Mutant("dims_dropped", "L1/sum/float32/keepdim/forward", ("L?/sum/*", "L2/*"),
           fresh={"sum": dims_dropped}),
    Mutant("out_form_wrong", "L1/floor/float32/2d/kernel-contiguous", ("L1/floor/*",),
           {"floor": lambda out, x: np.trunc(x, out)}, {"floor": TABLE.fresh["floor"]}),
    Mutant("noisy", "L1/floor/float32/special/silent", ("L?/floor/*",), {"floor": noisy}),
    Mutant("kernel_missing", "L1/tanh/float32/2d/forward", ("L?/tanh/*",), {"tanh": missing}),
    Mutant("bias_forgotten", "L3/linear/float32/bias/forward",
           ("L3/linear/*/forward", "L3/linear/errors/*"), fresh={"linear": bias_forgotten}),
    Mutant("gradient_wrong", "L2/linear/float32/bias/gradient",
           ("L2/linear/*", "L3/linear_grads/*/forward"), fresh={"linear_grads": gradient_wrong}),
    Mutant("out_of_memory_untyped", "L5/memory/alloc", ("L5/memory/*",),
           methods={"alloc": out_of_memory_untyped}),
    Mutant("read_from_the_start", "L0/memory/offsets", ("L0/memory/*", "L1/shared_memory/*"),
           methods={"copy_out": read_from_the_start}),
    Mutant("not_thread_safe", "L5/thread_safe/claimed",
           ("L5/thread_safe/*", "L1/exp/*/silent"),  # the mutant's kernel is in no silenced module
           {"exp": shared_scratch}),
    Mutant("not_deterministic", "L5/deterministic/claimed", ("L5/deterministic/*",),
           {"scatter_add": order_varies}),
    Mutant("not_fork_safe", "L5/fork_safe/claimed", ("L5/fork_safe/*",), {"matmul": only_at_home}),
    Mutant("dtype_absent", "L1/mul/float64/same/forward", ("L?/mul/float64/*", "L2/*"),
           {"mul": no_double}),
]
