"""``torch.backends.cuda``: switches keep what programs set; kernels round as float32 does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

from flambeau.as_torch.device_module import DeviceModule

matmul = SimpleNamespace(
    allow_tf32=False, allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True, fp32_precision="ieee")
cufft_plan_cache = SimpleNamespace(size=0, max_size=0, clear=lambda: None)


def is_built() -> bool:
    """Whether there is such a device: no build lacks what another has."""
    return DeviceModule("cuda").is_available()


_attention = {"flash": True, "math": True, "mem_efficient": True, "cudnn": True}


def flash_sdp_enabled() -> bool:
    """What was set; attention chooses its own way."""
    return _attention["flash"]


def math_sdp_enabled() -> bool:
    """What was set; attention chooses its own way."""
    return _attention["math"]


def mem_efficient_sdp_enabled() -> bool:
    """What was set; attention chooses its own way."""
    return _attention["mem_efficient"]


def enable_flash_sdp(enabled: bool) -> None:
    """Keep a setting; attention chooses its own way."""
    _attention["flash"] = enabled


def enable_math_sdp(enabled: bool) -> None:
    """Keep a setting; attention chooses its own way."""
    _attention["math"] = enabled


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Keep a setting; attention chooses its own way."""
    _attention["mem_efficient"] = enabled


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[None]:
    """Keep settings for a block."""
    before = dict(_attention)
    _attention.update(
        flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient,
        cudnn=enable_cudnn)
    try:
        yield
    finally:
        _attention.update(before)
