"""Activation functions, both ways."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, MEDIUM, register

kernels = NativeTable()

register(kernels, 1, {"relu": MEDIUM}, "iufV")
register(kernels, 1, {
    "leaky_relu": MEDIUM, "threshold": MEDIUM, "hardtanh": MEDIUM, "hardsigmoid": MEDIUM,
    "hardswish": MEDIUM, "hardshrink": MEDIUM, "softsign": MEDIUM, "tanhshrink": HEAVY,
    "sigmoid": HEAVY, "logsigmoid": HEAVY, "silu": HEAVY, "softplus": HEAVY, "mish": HEAVY,
    "gelu": HEAVY, "scaled_elu": HEAVY,
}, "fV")
register(kernels, 2, {
    "threshold_backward": MEDIUM, "leaky_relu_backward": MEDIUM, "sigmoid_backward": MEDIUM,
    "logsigmoid_backward": HEAVY, "silu_backward": HEAVY, "softplus_backward": HEAVY,
    "mish_backward": HEAVY, "gelu_backward": HEAVY, "elu_backward": HEAVY,
}, "fV")
