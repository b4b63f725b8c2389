"""Pruning: a mask that sets entries of a parameter to zero, kept beside the parameter.

The parameter ``NAME`` becomes ``NAME_orig``; the buffer ``NAME_mask`` says what is left; ``NAME``
is their product, made anew before every call of the module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import flambeau as fb
from flambeau.nn.modules.module import Module
from flambeau.nn.utils.convert_parameters import parameters_to_vector
from flambeau.tensor import Tensor

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured",
    "PruningContainer", "RandomStructured", "RandomUnstructured", "custom_from_mask",
    "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
    "random_structured", "random_unstructured", "remove",
]


class BasePruningMethod:
    """Base of all methods: derive, set ``PRUNING_TYPE`` and write ``compute_mask``.

    ``PRUNING_TYPE`` is "unstructured" (single entries), "structured" (channels) or "global": it
    says which entries a method sees when it is applied after another.
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        """Make the pruned parameter anew: the hook before every call of the module."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask of a tensor, at most ``default_mask``, of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} has no compute_mask()")

    def apply_mask(self, module: Module) -> Any:
        """The parameter of a module without what is pruned.

        Raises:
            AssertionError: if the module has not been pruned by this method.
        """
        name = getattr(self, "_tensor_name", None)
        if name is None:
            raise AssertionError(f"Module {module} has to be pruned")
        original = getattr(module, f"{name}_orig")
        return getattr(module, f"{name}_mask").to(dtype=original.dtype) * original

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Any = None, **kwargs: Any
    ) -> Any:
        """Prune a parameter of a module, after what has been pruned of it already.

        Args:
            name: of the parameter.
            importance_scores: decide in the place of the values; of the parameter's shape.
            args, kwargs: of the method.

        Raises:
            AssertionError: if the scores have another shape.
        """
        earlier = _method_of(module, name)
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        original = getattr(module, name if earlier is None else f"{name}_orig")
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}, "
                f"got {scores.shape} vs {original.shape}")
        if earlier is None:
            mask = method.compute_mask(scores, fb.ones_like(original))
            del module._parameters[name]
            module.register_parameter(f"{name}_orig", original)
            module.register_buffer(f"{name}_mask", mask)
        else:
            key, before = earlier
            del module._forward_pre_hooks[key]
            method = _container_of(before, method)
            mask = method.compute_mask(scores, getattr(module, f"{name}_mask"))
            setattr(module, f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Any, default_mask: Any = None, importance_scores: Any = None) -> Any:
        """A tensor without what this method prunes of it.

        Args:
            default_mask: what was pruned before.
            importance_scores: decide in the place of the values; of the tensor's shape.
        """
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as tensor t, got {scores.shape} vs "
                f"{t.shape}")
        default = fb.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default).to(t.dtype)

    def remove(self, module: Module) -> None:
        """Make the pruned values the parameter again, for good.

        Raises:
            AssertionError: if the module has not been pruned by this method.
        """
        name = getattr(self, "_tensor_name", None)
        if name is None:
            raise AssertionError(f"Module {module} has to be pruned before pruning can be removed")
        values = self.apply_mask(module)
        original = module._parameters.pop(f"{name}_orig")
        assert original is not None
        original.data = values.data
        del module._buffers[f"{name}_mask"]
        if name in vars(module):
            delattr(module, name)
        setattr(module, name, original)


def _method_of(module: Module, name: str) -> tuple[int, Any] | None:
    """The method that prunes a parameter, and the key of its hook."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None


class PruningContainer(BasePruningMethod):
    """Several methods, one after the other, of one parameter."""

    PRUNING_TYPE = "container"

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[Any, ...] = ()
        methods = args[0] if len(args) == 1 and isinstance(args[0], Iterable) else args
        if methods:
            self._tensor_name = next(iter(methods))._tensor_name
        for method in methods:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Apply one more method after the others.

        Raises:
            TypeError: if it is no method.
            ValueError: if it is of another parameter.
        """
        if method is not None and not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found "
                f"'{method._tensor_name}'")
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, at: int) -> Any:
        return self._pruning_methods[at]

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask of the last method on what the others have left.

        Raises:
            ValueError: for a method of an unknown type.
        """
        method = self._pruning_methods[-1]
        mask = default_mask.to(dtype=t.dtype).clone()
        kind = method.PRUNING_TYPE
        if kind == "unstructured":
            left: Any = mask == 1
        elif kind == "structured":
            dim = method.dim % t.ndim
            others = [d for d in range(t.ndim) if d != dim]
            index: list[Any] = [slice(None)] * t.ndim
            index[dim] = mask.sum(dim=others) != 0
            left = tuple(index)
        elif kind == "global":
            left = (slice(None),) * t.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {kind}")
        mask[left] = method.compute_mask(t[left], mask[left]).to(mask.dtype)
        return mask


def _container_of(before: Any, method: Any) -> PruningContainer:
    if isinstance(before, PruningContainer):
        before.add_pruning_method(method)
        return before
    return PruningContainer(before, method)


# ---- methods -----------------------------------------------------------------------------------
class Identity(BasePruningMethod):
    """Prunes nothing."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask as it was."""
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes entries at random.

    Args:
        amount: how many, or which part of those left if it is a float.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask with some ones less."""
        return _without_least(-fb.rand_like(t), default_mask, _number(self.amount, t.numel()))


class L1Unstructured(BasePruningMethod):
    """Prunes the entries that are least in absolute value.

    Args:
        amount: how many, or which part of those left if it is a float.
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask with some ones less."""
        return _without_least(t.abs(), default_mask, _number(self.amount, t.numel()))


class RandomStructured(BasePruningMethod):
    """Prunes channels at random.

    Args:
        amount: how many, or which part of those left if it is a float.
        dim: the dimension that counts channels.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask without some channels."""
        channels = _channels(t, self.dim)
        number = _number(self.amount, channels)
        if not number:
            return default_mask
        chances = fb.rand(channels)
        kept = chances > chances.sort()[0][number - 1]
        return _of_channels(kept.to(t.device), t, self.dim) * default_mask


class LnStructured(BasePruningMethod):
    """Prunes the channels of least norm.

    Args:
        amount: how many, or which part of those left if it is a float.
        n: of the norm: a number, "fro" or "nuc".
        dim: the dimension that counts channels.
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.n, self.dim = amount, n, dim

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask without some channels."""
        channels = _channels(t, self.dim)
        number = _number(self.amount, channels)
        if not number:
            return default_mask
        others = [d for d in range(t.ndim) if d != self.dim % t.ndim]
        norms = fb.norm(t, p=self.n, dim=others)
        kept = fb.zeros_like(norms)
        kept[norms.topk(channels - number)[1]] = 1
        return _of_channels(kept, t, self.dim) * default_mask


class CustomFromMask(BasePruningMethod):
    """Prunes what a mask says."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """Both masks."""
        return default_mask * self.mask.to(dtype=default_mask.dtype)


def _check_amount(amount: Any) -> None:
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if amount < 0 or (isinstance(amount, float) and amount > 1):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer")


def _number(amount: float, size: int) -> int:
    """How many of ``size`` are pruned."""
    if isinstance(amount, int):
        if amount > size:
            raise ValueError(
                f"amount={amount} should be smaller than the number of parameters to prune={size}")
        return amount
    return round(amount * size)


def _without_least(scores: Tensor, mask: Tensor, number: int) -> Tensor:
    mask = mask.clone(memory_format=fb.contiguous_format)
    if number:
        least = scores.reshape(-1).topk(number, largest=False)[1]
        mask.reshape(-1)[least] = 0
    return mask


def _channels(t: Tensor, dim: int) -> int:
    if t.ndim <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of "
            f"shape {t.shape} with {t.ndim} dims")
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape}")
    return int(t.shape[dim])


def _of_channels(kept: Tensor, t: Tensor, dim: int) -> Tensor:
    shape = [1] * t.ndim
    shape[dim] = -1
    return kept.to(t.dtype).reshape(shape).expand(t.shape)


# ---- functions ---------------------------------------------------------------------------------
def identity(module: Module, name: str) -> Module:
    """Prepare a parameter for pruning, without pruning anything."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune entries of a parameter at random."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Module, name: str, amount: float, importance_scores: Any = None
) -> Module:
    """Prune the entries of a parameter that are least in absolute value, or in their scores'."""
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune channels of a parameter at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Any = None
) -> Module:
    """Prune the channels of a parameter of least norm, or of least norm of their scores."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Any) -> Module:
    """Prune what a mask says of a parameter."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: Callable[..., Any],
    importance_scores: dict[tuple[Module, str], Any] | None = None, **kwargs: Any,
) -> None:
    """Prune entries of several parameters, compared with each other.

    Args:
        parameters: pairs of a module and a name.
        pruning_method: a class whose type is "unstructured".
        importance_scores: by such pair; decide in the place of the values.
        kwargs: of the method.

    Raises:
        TypeError: if the parameters or scores are no such collections, or the method has another
            type.
    """
    pairs = list(parameters)
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores should be of type dict")
    values = [scores.get((m, n), getattr(m, n)) for m, n in pairs]
    together = parameters_to_vector([v.detach() for v in values])
    before = parameters_to_vector([
        getattr(m, f"{n}_mask", fb.ones_like(getattr(m, n).detach())) for m, n in pairs])
    method: Any = pruning_method(**kwargs)
    container = PruningContainer()
    container._tensor_name = method._tensor_name = "together"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            "Only \"unstructured\" PRUNING_TYPE is supported for the `pruning_method`. Found "
            f"method {pruning_method} of type {method.PRUNING_TYPE}")
    container.add_pruning_method(method)
    mask, at = container.compute_mask(together, before), 0
    for m, n in pairs:
        parameter = getattr(m, n)
        size = parameter.numel()
        custom_from_mask(m, n, mask[at : at + size].reshape(parameter.shape))
        at += size


def remove(module: Module, name: str) -> Module:
    """Make the pruned values of a parameter the parameter again, for good.

    Raises:
        ValueError: if it has not been pruned.
    """
    found = _method_of(module, name)
    if found is None:
        raise ValueError(
            f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")
    key, method = found
    method.remove(module)
    del module._forward_pre_hooks[key]
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of a module, or of one within it, is pruned."""
    return any(
        isinstance(hook, BasePruningMethod)
        for m in module.modules() for hook in m._forward_pre_hooks.values())
