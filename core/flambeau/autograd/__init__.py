"""Automatic differentiation."""

from typing import TYPE_CHECKING

from flambeau.autograd.engine import backward, grad
from flambeau.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
)
from flambeau.autograd.node import Node

if TYPE_CHECKING:
    from flambeau.autograd.function import Function

__all__ = [
    "Function",
    "Node",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
]


def __getattr__(name: str) -> object:
    """What is built on tensors is loaded when first named: tensors are built on this package."""
    import importlib

    if name in ("Function", "once_differentiable"):
        return getattr(importlib.import_module("flambeau.autograd.function"), name)
    if name in ("gradcheck", "gradgradcheck"):
        module = importlib.import_module("flambeau.autograd.gradcheck")
        # both at once: the import has put the submodule where the function of its name belongs
        globals().update(gradcheck=module.gradcheck, gradgradcheck=module.gradgradcheck)
        function: object = globals()[name]
        return function
    if name == "set_multithreading_enabled":
        return getattr(importlib.import_module("flambeau.autograd.multithreading"), name)
    if name in ("detect_anomaly", "set_detect_anomaly"):
        return getattr(importlib.import_module("flambeau.autograd.anomaly"), name)
    if name in ("forward_ad", "functional", "graph", "profiler"):
        return importlib.import_module(f"flambeau.autograd.{name}")
    if name == "Variable":
        return importlib.import_module("flambeau.autograd.variable").Variable
    raise AttributeError(f"module 'flambeau.autograd' has no attribute '{name}'")
