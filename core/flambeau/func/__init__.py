"""Transforms of functions: derivatives that are functions themselves, and modules as functions."""

from flambeau.func.jacobians import hessian, jacfwd, jacrev
from flambeau.func.modules import replace_all_batch_norm_modules_, stack_module_state
from flambeau.func.rearrange import rearrange
from flambeau.func.transforms import grad, grad_and_value, jvp, linearize, vjp
from flambeau.func.vmap import debug_unwrap, vmap
from flambeau.nn.utils.stateless import functional_call

__all__ = [
    "debug_unwrap", "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev",
    "jvp", "linearize", "rearrange", "replace_all_batch_norm_modules_", "stack_module_state",
    "vjp", "vmap",
]
