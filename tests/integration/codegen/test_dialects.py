"""Every kernel that the ops' samples ask for is accepted by the compilers of all dialects."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import nvrtc
import pytest
from recorder import GPU, record

from flambeau.backend import dtypes
from flambeau.backend.generated import C, Cuda, KernelSource, Traits

WHATS = (dtypes.float32, dtypes.int64)
"""What every program uses; the other dtypes are compiled where they run."""
TOGETHER = 32
"""Kernels that are compiled as one program."""
OF_VALUES = {
    "binary_cross_entropy", "det", "eig", "eigvals", "masked_select", "probability_loss"}
"""Ops that fail on memory full of zeros, because they look at values."""


@pytest.mark.slow
@pytest.mark.skipif(nvrtc.library() is None, reason="needs nvidia-cuda-nvrtc-cu12")
def test_cuda() -> None:
    sources, failures = record("recordedcuda", Cuda(), GPU, WHATS)
    assert len(sources) > 300
    assert {f.partition('/')[0] for f in failures} <= OF_VALUES
    jobs = [(sources[i : i + TOGETHER], arch) for i in range(0, len(sources), TOGETHER)
            for arch in ("sm_80", "sm_90")]
    with ThreadPoolExecutor(2) as pool:
        assert [log for log in pool.map(lambda job: _check_cuda(*job), jobs) if log] == []


def _check_cuda(sources: list[KernelSource], arch: str) -> str:
    """What is wrong with some kernels, which are compiled as one program: it takes less time."""
    parts = (f"namespace k{i} {{\n{s.text}\n}}" for i, s in enumerate(sources))
    whole = "\n".join(parts).replace('extern "C" ', "")
    size, log = nvrtc.to_cubin(whole, Cuda.flags, arch)
    if size:
        return ""
    if len(sources) > 1:
        return "\n".join(filter(None, (_check_cuda([s], arch) for s in sources))) or log
    return f"{sources[0].name} for {arch}: {log}\n{sources[0].text}"


def test_cuda_rejects_what_is_wrong() -> None:
    if nvrtc.library() is None:
        pytest.skip("needs nvidia-cuda-nvrtc-cu12")
    size, log = nvrtc.to_cubin('extern "C" __global__ void f() { undeclared = 1; }', (), "sm_90")
    assert size == 0
    assert "undeclared" in log


def _check_c(source: KernelSource) -> str:
    command = ["cc", "-std=gnu11", "-Wall", "-Werror", "-Wno-unused-variable",
               "-Wno-unused-but-set-variable", "-Wno-unused-function", "-fsyntax-only", "-xc", "-"]
    done = subprocess.run(
        command, input=source.text, capture_output=True, text=True, check=False)
    return f"{done.stderr}\n{source.text}" if done.returncode else ""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_c() -> None:
    sources, failures = record("recordedc", C(), Traits(group_size=1), WHATS)
    assert len(sources) > 300
    assert {f.partition('/')[0] for f in failures} <= OF_VALUES
    with ThreadPoolExecutor(2) as pool:
        assert [log for log in pool.map(_check_c, sources) if log] == []
