"""Comparison, selection, logic and bits."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable
from flambeau_cpu.native.pointwise import LIGHT, MEDIUM, Pointwise, register

kernels = NativeTable()

register(kernels, 2, dict.fromkeys(
    ("eq", "ne", "lt", "le", "gt", "ge", "bitwise_and", "bitwise_or", "bitwise_xor", "logical_and",
     "logical_or", "logical_xor"), LIGHT))
register(kernels, 1, dict.fromkeys(("bitwise_not", "logical_not"), LIGHT))
register(kernels, 1, dict.fromkeys(
    ("isnan", "isinf", "isfinite", "isposinf", "isneginf"), LIGHT), "fV")
register(kernels, 3, {"select_where": MEDIUM})
kernels.fresh_form("where", at=MEDIUM, inputs=3)(Pointwise("select_where").fresh)
