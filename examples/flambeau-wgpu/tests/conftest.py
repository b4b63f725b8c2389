"""Kernels of one formula, and the devices they run on."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from flambeau_wgpu.dialect import Wgsl

from flambeau.backend import dtypes
from flambeau.backend.generated import Kernel, Value
from flambeau.plugins import backend_for

Body = Callable[[Kernel, list[Value]], Value]


def pytest_collection_modifyitems(items: list[Any]) -> None:
    if not backend_for("wgpu").device_count():
        for item in items:
            if "evaluate" in item.fixturenames or "device" in item.fixturenames:
                item.add_marker(pytest.mark.skip("no adapter: install a Vulkan or OpenGL driver"))


@pytest.fixture
def device() -> Any:
    """The backend, whose first device is tested."""
    return backend_for("wgpu")


@pytest.fixture
def evaluate(device: Any) -> Callable[..., np.ndarray]:
    """Run a kernel whose items each compute one element: ``evaluate(body, out, *inputs)``."""

    def run(body: Body, out: type, *inputs: np.ndarray) -> np.ndarray:
        source = one_element(body, out, inputs)
        count, nbytes = len(inputs[0]), len(inputs[0]) * np.dtype(out).itemsize
        buffers = [device.alloc(nbytes, 0)]
        for values in inputs:
            buffers.append(device.alloc(values.nbytes, 0))
            device.copy_in(buffers[-1], 0, memoryview(values.tobytes()), 0)
        groups = -(-count // source.group_size)
        device.launch(device.compile(source, 0), groups, [*buffers, count], 0)
        return np.frombuffer(device.copy_out(buffers[0], 0, nbytes, 0), out)

    return run


def one_element(body: Body, out: type, inputs: Sequence[np.ndarray]) -> Any:
    kernel = Kernel(Wgsl(), "elements", 64)
    target = kernel.buffer("out", dtypes.from_numpy_dtype(np.dtype(out)), True)
    sources = [kernel.buffer(f"x{i}", dtypes.from_numpy_dtype(x.dtype))
               for i, x in enumerate(inputs)]
    with kernel.item(kernel.scalar("count", "i32"), "i32") as item:
        kernel.store(target, item, body(kernel, [kernel.load(b, item) for b in sources]))
    return kernel.finish()
