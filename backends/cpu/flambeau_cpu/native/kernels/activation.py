"""Activation functions."""

from __future__ import annotations

from flambeau_cpu.native.choice import NativeTable

kernels = NativeTable()
