"""One device: memory, copies, and launches that are gathered and submitted together."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import wgpu

from flambeau.backend import BackendError, OutOfMemoryError
from flambeau.backend.generated import KernelSource, Parameter
from flambeau_wgpu.dialect import HAS_FMA, argument_words

CODES: Final = {
    "bool": "I", "u8": "I", "u16": "I", "u32": "I", "i8": "i", "i16": "i", "i32": "i",
    "i64": "q", "u64": "Q", "f32": "f",
}
"""How a number is packed into words."""
ARENA: Final = 1 << 16
"""Bytes of the arguments of launches that are submitted together."""
ROW: Final = 65535
"""Groups in one dimension, at most."""
STORAGE: Final = (
    wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST)
PROBE: Final = KernelSource("wg_probe", """\
@group(0) @binding(0) var<uniform> wg_args: array<vec4<u32>, 1>;
@group(0) @binding(1) var<storage, read_write> b_out: array<f32>;
@compute @workgroup_size(1) fn wg_probe() {
  let x = bitcast<f32>(wg_args[0].z);
  b_out[0] = fma(x, x, -bitcast<f32>(bitcast<u32>(x * x) + wg_args[0].x));
}""", (Parameter("out", "f32", True, True), Parameter("x", "f32", False)), 1)
"""The rounding error of x * x, or 0 where fma rounds twice."""


class Memory:
    """A buffer of whole words, and the number of its device."""

    __slots__ = ("gpu", "index")

    def __init__(self, gpu: Any, index: int) -> None:
        self.gpu, self.index = gpu, index


class Program(NamedTuple):
    """A kernel that is ready to run."""

    pipeline: Any
    layout: Any
    buffers: int
    pack: struct.Struct
    nbytes: int


class Queue:
    """A device and what was not yet submitted to it."""

    def __init__(self, device: Any, index: int) -> None:
        self.device, self.index = device, index
        self.lock = threading.RLock()
        self.alignment = device.limits["min-uniform-buffer-offset-alignment"]
        self.arguments = device.create_buffer(
            size=ARENA, usage=wgpu.BufferUsage.UNIFORM | wgpu.BufferUsage.COPY_DST)
        self.mark = device.create_buffer(size=4, usage=STORAGE)
        self.packed = bytearray(ARENA)
        self.used = 0
        self.encoder: Any = None
        self.compute: Any = None
        self.fused: bool | None = None
        self.layouts: dict[int, tuple[Any, Any]] = {}

    # ---- memory ------------------------------------------------------------------------------
    def allocate(self, nbytes: int) -> Memory:
        """A buffer."""
        size = max(16, -(-nbytes // 4) * 4)
        most = min(self.device.limits["max-storage-buffer-binding-size"],
                   self.device.limits["max-buffer-size"])
        if size > most:
            raise OutOfMemoryError(
                f"wgpu:{self.index}: cannot allocate {nbytes} bytes: the device's kernels see at "
                f"most {most} bytes of a buffer")
        try:
            return Memory(self.device.create_buffer(size=size, usage=STORAGE), self.index)
        except wgpu.GPUOutOfMemoryError:
            raise OutOfMemoryError(
                f"wgpu:{self.index}: cannot allocate {nbytes} bytes") from None

    def write(self, memory: Memory, offset: int, data: memoryview) -> None:
        """Write bytes; of the words at both ends what is not written stays."""
        if not data:
            return
        with self.lock:
            self.submit()
            start, end = offset // 4 * 4, -(-(offset + len(data)) // 4) * 4
            if end - start == len(data):
                self.device.queue.write_buffer(memory.gpu, offset, data)
                return
            words = bytearray(self.read(memory, start, end - start))
            words[offset - start : offset - start + len(data)] = data
            self.device.queue.write_buffer(memory.gpu, start, words)

    def read(self, memory: Memory, offset: int, nbytes: int) -> memoryview:
        """Bytes, behind all that was launched."""
        if not nbytes:
            return memoryview(b"")
        with self.lock:
            self.submit()
            start, end = offset // 4 * 4, -(-(offset + nbytes) // 4) * 4
            words = self.device.queue.read_buffer(memory.gpu, start, end - start)
            return words[offset - start : offset - start + nbytes]

    def copy(self, to: Memory, to_offset: int, source: Memory, offset: int, nbytes: int) -> None:
        """Copy bytes: by the device where WebGPU can, else through the host."""
        with self.lock:
            if to is source or (to_offset | offset | nbytes) % 4:
                self.write(to, to_offset, memoryview(bytes(self.read(source, offset, nbytes))))
                return
            self._end_pass()
            self._encoder().copy_buffer_to_buffer(source.gpu, offset, to.gpu, to_offset, nbytes)

    # ---- kernels -----------------------------------------------------------------------------
    def compile(self, source: KernelSource) -> Program:
        """Build a pipeline.

        Raises:
            BackendError: with the words of wgpu, which show the line.
        """
        count = sum(p.is_buffer for p in source.parameters)
        most = self.device.limits["max-storage-buffers-per-shader-stage"]
        if count > most:
            raise BackendError(
                f"wgpu: the kernel {source.name!r} has {count} buffers, the device allows {most}")
        group, pipelines = self._layout(count)
        constants = {HAS_FMA: float(self._has_fma())} if HAS_FMA in source.text else {}
        try:
            module = self.device.create_shader_module(code=source.text, label=source.name)
            pipeline = self.device.create_compute_pipeline(
                layout=pipelines, compute={
                    "module": module, "entry_point": source.name, "constants": constants})
        except wgpu.GPUError as error:
            raise BackendError(
                f"wgpu: the kernel {source.name!r} does not compile:\n{error}\n{source.text}"
            ) from error
        codes = "".join(CODES[p.type] for p in source.parameters if not p.is_buffer)
        nbytes = -(-argument_words(source.parameters)[""] // 4) * 16
        return Program(pipeline, group, count, struct.Struct("<II" + codes), nbytes)

    def launch(self, program: Program, groups: int, arguments: Sequence[Any]) -> None:
        """Take a launch down; it runs with those that follow."""
        buffers = [a.gpu for a in arguments[: program.buffers]]
        numbers = arguments[program.buffers :]
        entries = [{"binding": 0, "resource": {
            "buffer": self.arguments, "offset": 0, "size": program.nbytes}}]
        entries += [{"binding": i, "resource": {"buffer": b, "offset": 0, "size": b.size}}
                    for i, b in enumerate(buffers, 1)]
        bound = self.device.create_bind_group(layout=program.layout, entries=entries)
        with self.lock:
            at = -(-self.used // self.alignment) * self.alignment
            if at + program.nbytes > ARENA:
                self.submit()
                at = 0
            self._pack(program, at, groups, numbers)
            self.used = at + program.nbytes
            if self.compute is None:
                self.compute = self._encoder().begin_compute_pass()
            self.compute.set_pipeline(program.pipeline)
            self.compute.set_bind_group(0, bound, [at])
            self.compute.dispatch_workgroups(min(groups, ROW), -(-groups // ROW))

    def submit(self) -> None:
        """Hand over all that was launched."""
        with self.lock:
            if self.encoder is None:
                return
            self._end_pass()
            if self.used:
                self.device.queue.write_buffer(self.arguments, 0, self.packed, 0, self.used)
            encoder, self.encoder, self.used = self.encoder, None, 0
            self.device.queue.submit([encoder.finish()])

    def finish(self) -> None:
        """Wait for all that was launched, by reading a word behind it."""
        with self.lock:
            self.submit()
            self.device.queue.read_buffer(self.mark, 0, 4)

    # ---- parts -------------------------------------------------------------------------------
    def _has_fma(self) -> bool:
        """Whether ``fma`` rounds once, as WGSL leaves open: tried once."""
        if self.fused is None:
            out = self.allocate(4)
            self.launch(self.compile(PROBE), 1, [out, 1 + 2.0**-12])
            self.fused = bytes(self.read(out, 0, 4)) == struct.pack("<f", 2.0**-24)
        return self.fused

    def _pack(self, program: Program, at: int, groups: int, numbers: Sequence[Any]) -> None:
        try:
            program.pack.pack_into(self.packed, at, 0, groups, *numbers)
        except OverflowError:  # a float beyond f32: infinite, as a conversion makes it
            with np.errstate(over="ignore"):
                numbers = [float(np.float32(n)) if isinstance(n, float) else n for n in numbers]
            program.pack.pack_into(self.packed, at, 0, groups, *numbers)

    def _encoder(self) -> Any:
        if self.encoder is None:
            self.encoder = self.device.create_command_encoder()
        return self.encoder

    def _end_pass(self) -> None:
        if self.compute is not None:
            self.compute.end()
            self.compute = None

    def _layout(self, count: int) -> tuple[Any, Any]:
        """The layouts of bind groups and pipelines with so many buffers.

        All buffers may be written, for the result may be one of the inputs, and WebGPU does not
        let a buffer be bound in two ways at once.
        """
        if count not in self.layouts:
            kinds: list[dict[str, Any]] = [{"type": "uniform", "has_dynamic_offset": True}]
            kinds += [{"type": "storage"}] * count
            group = self.device.create_bind_group_layout(entries=[
                {"binding": i, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": kind}
                for i, kind in enumerate(kinds)])
            self.layouts[count] = group, self.device.create_pipeline_layout(
                bind_group_layouts=[group])
        return self.layouts[count]
