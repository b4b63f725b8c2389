"""Activation functions, both ways."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import HEAVY, LIGHT, register

kernels = NativeTable()

register(kernels, 1, {"relu": LIGHT}, "iufV")
register(kernels, 1, {
    "leaky_relu": LIGHT, "threshold": LIGHT, "hardtanh": LIGHT, "hardsigmoid": LIGHT,
    "hardswish": LIGHT, "hardshrink": LIGHT, "softsign": LIGHT, "tanhshrink": HEAVY,
    "sigmoid": HEAVY, "logsigmoid": HEAVY, "silu": HEAVY, "softplus": HEAVY, "mish": HEAVY,
    "gelu": HEAVY, "scaled_elu": HEAVY,
}, "fV")
register(kernels, 2, {
    "threshold_backward": LIGHT, "leaky_relu_backward": LIGHT, "sigmoid_backward": LIGHT,
    "logsigmoid_backward": HEAVY, "silu_backward": HEAVY, "softplus_backward": HEAVY,
    "mish_backward": HEAVY, "gelu_backward": HEAVY, "elu_backward": HEAVY,
}, "fV")
