"""Saving and loading the state of modules."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from flambeau import package_name
from flambeau.autograd.grad_mode import no_grad
from flambeau.hooks import RemovableHandle
from flambeau.nn.modules._tables import Hook, Tables
from flambeau.nn.parameter import Parameter, is_lazy
from flambeau.tensor import Tensor

EXTRA_STATE = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` found to be different."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})")


class State(Tables):
    """The part of a module that makes and reads state dicts."""

    _version: int = 1
    """Of the form of this class's own entries; stored in the metadata."""

    def get_extra_state(self) -> Any:
        """What to store besides parameters and buffers; to be overridden with the setter."""
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: Any) -> None:
        """Take back what ``get_extra_state`` gave."""
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called.")

    # ---- saving --------------------------------------------------------------------------
    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """References to all parameters and persistent buffers, by dotted name, in order.

        Args:
            destination: a mapping to fill; a new ``OrderedDict`` if None.
            prefix: put before every name.
            keep_vars: the parameters themselves, not detached from autograd.

        Returns:
            the mapping; its ``_metadata`` holds the version of each module.
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead.", FutureWarning,
                stacklevel=2)
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and not prefix else prefix
            keep_vars = args[2] if len(args) > 2 and not keep_vars else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        return self._run_state_dict_hooks(destination, prefix, metadata)

    def _run_state_dict_hooks(self, destination: Any, prefix: str, metadata: Any) -> Any:
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, metadata)
            if changed is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = changed
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Store this module's own entries, not those of its children."""
        for name, value in self._persistent_items():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _persistent_items(self) -> list[tuple[str, Tensor]]:
        items: list[tuple[str, Tensor]] = [
            (name, value) for name, value in self._parameters.items() if value is not None]
        items += [
            (name, value) for name, value in self._buffers.items()
            if value is not None and name not in self._non_persistent_buffers_set]
        return items

    # ---- loading -------------------------------------------------------------------------
    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy parameters and buffers from a state dict.

        Args:
            strict: the keys must be exactly those of ``state_dict()``.
            assign: put the given tensors in the place of this module's, in place of copying.

        Returns:
            the missing and the unexpected keys.

        Raises:
            TypeError: for something that is no mapping.
            RuntimeError: naming every key that is missing, unexpected or of the wrong shape.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        copied: OrderedDict[str, Any] = OrderedDict(state_dict)
        if metadata is not None:
            copied._metadata = metadata  # type: ignore[attr-defined]
        found = IncompatibleKeys([], [])
        errors: list[str] = []
        _load(self, copied, "", metadata, assign, found, errors)
        if strict:
            errors[:0] = _strict_errors(found)
        if errors:
            listed = "\n\t".join(errors)
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        return found

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, local_metadata: dict[str, Any],
        strict: bool, missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:
        """Read this module's own entries, not those of its children; to be extended by modules
        that change what they store between versions (``local_metadata["version"]``)."""
        for hook, with_module in self._load_state_dict_pre_hooks.values():
            arguments = (state_dict, prefix, local_metadata, strict, missing_keys,
                         unexpected_keys, error_msgs)
            hook(self, *arguments) if with_module else hook(*arguments)
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = dict(self._persistent_items())
        for name, held in own.items():
            key = prefix + name
            if key in state_dict:
                problem = _load_entry(self, name, key, held, state_dict[key], assign)
                error_msgs.extend([problem] if problem else ())
            elif strict:
                missing_keys.append(key)
        has_extra = type(self).set_extra_state is not State.set_extra_state
        extra = prefix + EXTRA_STATE
        if has_extra and extra in state_dict:
            self.set_extra_state(state_dict[extra])
        elif has_extra and strict:
            missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)
        if strict:
            unexpected_keys.extend(
                key for key in state_dict
                if key.startswith(prefix) and key != extra
                and not self._expects(key[len(prefix):], own))

    def _expects(self, name: str, own: dict[str, Tensor]) -> bool:
        first, dot, _ = name.partition(".")
        return first in self._modules if dot else first in own

    # ---- hooks ---------------------------------------------------------------------------
    def register_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before ``state_dict()`` reads this module."""
        return _add(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after it; edits in place."""
        hook._from_public_api = True  # type: ignore[attr-defined]
        return _add(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Hook) -> RemovableHandle:
        """The same for a hook that may return another mapping."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was "
                "previously registered via register_state_dict_post_hook")
        return _add(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)`` before this module loads."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Hook, with_module: bool = False
    ) -> RemovableHandle:
        return _add(self._load_state_dict_pre_hooks, (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after this module and its children loaded."""
        return _add(self._load_state_dict_post_hooks, hook)


def _add(table: Any, entry: Any) -> RemovableHandle:
    handle = RemovableHandle(table)
    table[handle.id] = entry
    return handle


def _load(
    module: Any, state_dict: Any, prefix: str, metadata: Any, assign: bool,
    found: IncompatibleKeys, errors: list[str],
) -> None:
    """Load a module and all below it."""
    local: dict[str, Any] = {} if metadata is None else metadata.get(prefix[:-1], {})
    if assign:
        local["assign_to_params_buffers"] = assign
    # Whether the caller is strict is decided at the end: hooks may still edit the lists.
    module._load_from_state_dict(
        state_dict, prefix, local, True, found.missing_keys, found.unexpected_keys, errors)
    for name, child in module._modules.items():
        if child is not None:
            below = f"{prefix}{name}."
            part = OrderedDict((k, v) for k, v in state_dict.items() if k.startswith(below))
            _load(child, part, below, metadata, assign, found, errors)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, found) is not None:
            raise AssertionError(
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to "
                "return new values, if incompatible_keys need to be modified, it should be done "
                "inplace.")


def _strict_errors(found: IncompatibleKeys) -> list[str]:
    errors = []
    for words, keys in (
        ("Missing key(s)", found.missing_keys), ("Unexpected key(s)", found.unexpected_keys)
    ):
        if keys:
            listed = ", ".join(f'"{k}"' for k in keys)
            errors.append(f"{words} in state_dict: {listed}. ")
    return errors


def _load_entry(
    module: Any, name: str, key: str, held: Tensor, given: Any, assign: bool
) -> str | None:
    """Load one parameter or buffer; what is wrong, if anything is."""
    if not isinstance(given, Tensor):
        return (
            f'While copying the parameter named "{key}", expected flambeau.Tensor or Tensor-like '
            f"object from checkpoint but received {type(given)}")
    if not is_lazy(held):
        if not held.ndim and given.ndim == 1 and given.shape[0] == 1:
            given = given[0]  # scalars were stored as vectors of one element once
        if given.shape != held.shape:
            return (
                f"size mismatch for {key}: copying a param with shape {_size(given)} from "
                f"checkpoint, the shape in current model is {_size(held)}.")
    if held.device.type == "meta" and given.device.type != "meta" and not assign:
        warnings.warn(
            f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter "
            "in the current model, which is a no-op. (Did you mean to pass `assign=True` to assign "
            "items in the state dictionary to their corresponding key in the module instead of "
            "copying them in place?)", stacklevel=6)
    try:
        with no_grad():
            _put(module, name, held, given, assign)
    except Exception as error:  # collected with the others, as every problem is
        return (
            f'While copying the parameter named "{key}", whose dimensions in the model are '
            f"{held.size()} and whose dimensions in the checkpoint are {given.size()}, an "
            f"exception occurred : {error.args}.")
    return None


def _size(t: Tensor) -> str:
    return f"{package_name.shown}.Size({list(t.shape)})"


def _put(module: Any, name: str, held: Tensor, given: Tensor, assign: bool) -> None:
    if not assign:
        held.copy_(given)
        return
    if isinstance(held, Parameter):
        if isinstance(given, Parameter):
            given.requires_grad_(held.requires_grad)
        else:
            given = Parameter(given, requires_grad=held.requires_grad)
    setattr(module, name, given)
