"""Parameters computed from others: the module keeps the originals and computes on access.

A parametrized module gets a class of its own, derived from its own class, with a property in the
place of the parameter.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from flambeau.autograd.grad_mode import no_grad
from flambeau.nn.modules.container import ModuleDict, ModuleList
from flambeau.nn.modules.module import Module
from flambeau.nn.parameter import Parameter
from flambeau.tensor import Tensor

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]


class _Cache:
    """Computed values, kept while :func:`cached` is entered."""

    depth = 0
    values: dict[tuple[int, str], Any] = {}  # noqa: RUF012  one for the process, as the switch is


@contextmanager
def cached() -> Iterator[None]:
    """Within the block every parametrized tensor is computed at most once."""
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.values = {}


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and what it is computed from.

    The original stands in ``original``, or in ``original0``, ``original1``, ... if the inverse of
    the last parametrization gives several tensors.
    """

    original: Tensor

    def __init__(
        self, modules: Sequence[Module], original: Any, unsafe: bool = False
    ) -> None:
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        new = self._inverse(original)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            _check_same_kind(original, new, unsafe)
            with no_grad():
                original.data = new.data
            _register(self, "original", original)
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ValueError(
                        f"'right_inverse' must return a Tensor or a Sequence of tensors, got "
                        f"element {i} of the sequence with type {type(part).__name__}.")
                if isinstance(original, Parameter):
                    part = Parameter(part.detach(), original.requires_grad)
                _register(self, f"original{i}", part)
        if not unsafe:
            _check_result(self(), original)

    def _inverse(self, value: Any) -> Any:
        """What the originals must be for a value; the value itself where there is no inverse."""
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with suppress(NotImplementedError):
                        value = module.right_inverse(value)
        if not isinstance(value, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(value).__name__}")
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Change the originals so that the parametrized tensor is the value."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement "
                        "right_inverse.")
                value = module.right_inverse(value)
            if self.is_tensor:
                _check_assigned(self.original, value)
                self.original.data = value.data
                return
            if len(value) != self.ntensors:
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors of length "
                    f"{self.ntensors}. Got a sequence of length {len(value)}.")
            for i, part in enumerate(value):
                held = getattr(self, f"original{i}")
                _check_assigned(held, part)
                held.data = part.data

    def forward(self) -> Any:
        """The parametrized tensor."""
        if self.is_tensor:
            value: Any = self[0](self.original)
        else:
            value = self[0](*(getattr(self, f"original{i}") for i in range(self.ntensors)))
        for module in list(self)[1:]:
            value = module(value)
        return value


def _register(holder: Module, name: str, value: Tensor) -> None:
    if isinstance(value, Parameter):
        holder.register_parameter(name, value)
    else:
        holder.register_buffer(name, value)


def _check_same_kind(original: Tensor, new: Tensor, unsafe: bool) -> None:
    if original.dtype is not new.dtype:
        raise ValueError(
            "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
            f"original.dtype: {original.dtype}\nright_inverse(original).dtype: {new.dtype}")
    if original.device is not new.device:
        raise ValueError(
            "When `right_inverse` outputs one tensor, it may not change the device.\n"
            f"original.device: {original.device}\nright_inverse(original).device: {new.device}")


def _check_result(value: Any, original: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(
            f"A parametrization must return a tensor. Got {type(value).__name__}.")
    for what in ("dtype", "shape"):
        before, after = getattr(original, what), getattr(value, what)
        if before != after:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                f"`unsafe` flag is enabled.\nunparametrized {what}: {before}\nparametrized "
                f"{what}: {after}")


def _check_assigned(held: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
    if value.dtype is not held.dtype:
        raise ValueError(
            f"The tensor returned by `right_inverse` has dtype {value.dtype} while `original` has "
            f"dtype {held.dtype}")


# ---- properties ----------------------------------------------------------------------------------
def _give_own_class(module: Module) -> None:
    """A class for this module alone, on which properties can be put."""
    cls = type(module)

    def state(self: Any) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict().")

    def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        twin = self.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    members: dict[str, Any] = {"__getstate__": state, "_class_before": cls}
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = deepcopy
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _add_property(module: Module, name: str) -> None:
    def read(self: Any) -> Any:
        if not _Cache.depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _Cache.values:
            _Cache.values[key] = self.parametrizations[name]()
        return _Cache.values[key]

    def write(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


# ---- the functions -------------------------------------------------------------------------------
def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter or buffer by a module from what it was.

    Args:
        parametrization: ``forward(original)`` gives the tensor; ``right_inverse(value)``, if
            there, gives originals for assigned values.
        unsafe: allow another shape or dtype.

    Raises:
        KeyError: if there is no such tensor.
        ValueError: for another shape or dtype.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        _append(module, tensor_name, parametrization, unsafe)
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        made = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _give_own_class(module)
            module.parametrizations = ModuleDict()
        _add_property(module, tensor_name)
        module.parametrizations[tensor_name] = made
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'")
    return module


def _append(module: Any, name: str, parametrization: Module, unsafe: bool) -> None:
    if not unsafe:
        with no_grad():
            before = getattr(module, name)
            after = parametrization(before)
        _check_result(after, before)
        if hasattr(parametrization, "right_inverse"):
            back = parametrization.right_inverse(after)
            if not isinstance(back, Tensor):
                raise ValueError(
                    "parametrization.right_inverse must return a tensor. Got: "
                    f"{type(back).__name__}")
            _check_result(back, before)
    module.parametrizations[name].append(parametrization)
    module.parametrizations[name].unsafe |= unsafe


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has any parametrization, or one for a tensor."""
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a tensor an ordinary one again.

    Args:
        leave_parametrized: its value is what was computed, else the original.

    Raises:
        ValueError: if it is not parametrized, or there are several originals to go back to.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"Module {module} does not have a parametrization on {tensor_name}")
    held: Any = module.parametrizations
    made = held[tensor_name]
    if made.is_tensor:
        original = made.original
        if leave_parametrized:
            with no_grad():
                value = getattr(module, tensor_name)
                original.data = value.detach().clone()
    elif leave_parametrized:
        value = getattr(module, tensor_name).detach()
        is_parameter = isinstance(made.original0, Parameter)
        original = Parameter(value) if is_parameter else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors.")
    delattr(type(module), tensor_name)
    del held[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type_before_parametrizations(module)
    return module


def type_before_parametrizations(module: Module) -> type[Module]:
    """The class of a module, without that which parametrizing gave it."""
    found: type[Module] = type(module).__dict__.get("_class_before", type(module))
    return found


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Give a module the parametrizations of another, and the values they compute from."""
    if not is_parametrized(from_module):
        return to_module
    source: Any = from_module.parametrizations
    for name in [tensor_name] if tensor_name is not None else list(source):
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in source[name]:
            register_parametrization(to_module, name, parametrization)
        target: Any = to_module.parametrizations
        names = (
            ["original"] if source[name].is_tensor
            else [f"original{i}" for i in range(source[name].ntensors)])
        for each in names:
            setattr(target[name], each, getattr(source[name], each))
    return to_module
