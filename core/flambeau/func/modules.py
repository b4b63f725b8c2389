"""The states of several modules as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau.ops.join import stack


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of models of one kind, each stacked in a new dimension 0.

    Raises:
        RuntimeError: for no models, models of different classes, or in different modes.
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(m.training is not models[0].training for m in models):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(states: list[dict[str, Any]], grad: bool) -> dict[str, Any]:
        result = {}
        for name, first in states[0].items():
            made = stack([state[name].detach() for state in states])
            result[name] = made.requires_grad_() if grad and first.requires_grad else made
        return result

    return (stacked([dict(m.named_parameters()) for m in models], True),
            stacked([dict(m.named_buffers()) for m in models], False))


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Take the running statistics out of all batch norms of a module, in place.

    They are updated in the forward pass, which samples within ``vmap`` cannot do to what they
    share.

    Returns:
        the module.
    """
    from flambeau.nn.modules.batchnorm import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
