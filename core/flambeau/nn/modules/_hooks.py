"""Hooks around the forward and backward pass of modules."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any, Final

from flambeau.hooks import RemovableHandle
from flambeau.nn.modules._backward_hooks import BackwardHook, attach_plain_hooks
from flambeau.nn.modules._tables import Hook, HookTable, Tables
from flambeau.tensor import Tensor


class _GlobalHooks:
    """Hooks that run for every module."""

    def __init__(self) -> None:
        self.forward: HookTable = OrderedDict()
        self.forward_with_kwargs: OrderedDict[int, bool] = OrderedDict()
        self.forward_always_called: OrderedDict[int, bool] = OrderedDict()
        self.forward_pre: HookTable = OrderedDict()
        self.backward: HookTable = OrderedDict()
        self.backward_pre: HookTable = OrderedDict()
        self.backward_is_full: bool | None = None
        self.buffer_registration: HookTable = OrderedDict()
        self.module_registration: HookTable = OrderedDict()
        self.parameter_registration: HookTable = OrderedDict()


GLOBAL: Final = _GlobalHooks()
FORWARD: Final = GLOBAL.forward
FORWARD_PRE: Final = GLOBAL.forward_pre
BACKWARD: Final = GLOBAL.backward
BACKWARD_PRE: Final = GLOBAL.backward_pre


def _add(
    table: HookTable, hook: Hook, prepend: bool = False, **flags: OrderedDict[int, bool] | None
) -> RemovableHandle:
    """Put a hook into a table, and its id into the tables of the flags that are set."""
    marked = [flag for flag in flags.values() if flag is not None]
    handle = RemovableHandle(table, *marked)
    table[handle.id] = hook
    for flag in marked:
        flag[handle.id] = True
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle


class Hooks(Tables):
    """The part of a module that registers hooks."""

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each ``forward``; it may return other arguments.

        Args:
            prepend: run it before the hooks that are there already.
            with_kwargs: call ``hook(module, args, kwargs)``, which may return both.
        """
        return _add(
            self._forward_pre_hooks, hook, prepend,
            kwargs=self._forward_pre_hooks_with_kwargs if with_kwargs else None)

    def register_forward_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each ``forward``; it may return another one.

        Args:
            prepend: run it before the hooks that are there already.
            with_kwargs: call ``hook(module, args, kwargs, output)``.
            always_call: call it also when ``forward`` raised.
        """
        return _add(
            self._forward_hooks, hook, prepend,
            kwargs=self._forward_hooks_with_kwargs if with_kwargs else None,
            always=self._forward_hooks_always_called if always_call else None)

    def register_full_backward_pre_hook(
        self, hook: Hook, prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the module's backward pass."""
        return _add(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the inputs' gradients are known.

        Raises:
            RuntimeError: if the module has a hook of the old kind.
        """
        self._set_kind_of_backward_hooks(full=True)
        return _add(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Hook) -> RemovableHandle:
        """Deprecated: sees only the last operation of ``forward``; use the full hook.

        Raises:
            RuntimeError: if the module has a full backward hook.
        """
        self._set_kind_of_backward_hooks(full=False)
        return _add(self._backward_hooks, hook)

    def _set_kind_of_backward_hooks(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single "
                "Module. Please use only one of them.")
        self._is_full_backward_hook = full

    def _get_backward_hooks(self) -> tuple[list[Hook], list[Hook]]:
        """The full backward hooks and those of the old kind, global ones first."""
        full: list[Hook] = []
        plain: list[Hook] = []
        (full if GLOBAL.backward_is_full else plain).extend(BACKWARD.values())
        (full if self._is_full_backward_hook else plain).extend(self._backward_hooks.values())
        return full, plain


# ---- a call ------------------------------------------------------------------------------------
def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward(*args, **kwargs)`` with all hooks around it."""
    called: set[int] = set()
    try:
        return _call(module, args, kwargs, called)
    except Exception:
        _run_always_called(module, args, kwargs, called)
        raise


def _call(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[int]
) -> Any:
    full, plain = module._get_backward_hooks()
    pre = [*BACKWARD_PRE.values(), *module._backward_pre_hooks.values()]
    args, kwargs = _run_forward_pre_hooks(module, args, kwargs)
    around = BackwardHook(module, full, pre) if full or pre else None
    if around is not None:
        args = around.setup_input_hook(args)
    result = module.forward(*args, **kwargs)
    result = _run_forward_hooks(module, args, kwargs, result, called)
    if around is not None:
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of "
                f"Tensors but received {type(result)}", stacklevel=4)
        result = around.setup_output_hook(result)
    if plain:
        _warn_about_plain_hooks(module, args, result, attach_plain_hooks(module, plain, result))
    return result


def _run_forward_pre_hooks(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    hooks = [*FORWARD_PRE.items(), *module._forward_pre_hooks.items()]
    for key, hook in hooks:
        if key in module._forward_pre_hooks_with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is None:
                continue
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise RuntimeError(
                    "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but "
                    f"got {changed}.")
            args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    return args, kwargs


def _forward_hooks(module: Any) -> list[tuple[int, Hook, bool, bool]]:
    """Id, hook, whether it takes kwargs, whether it is always called; global ones first."""
    tables = (
        (FORWARD, GLOBAL.forward_with_kwargs, GLOBAL.forward_always_called),
        (module._forward_hooks, module._forward_hooks_with_kwargs,
         module._forward_hooks_always_called),
    )
    return [
        (key, hook, key in with_kwargs, key in always)
        for table, with_kwargs, always in tables for key, hook in table.items()
    ]


def _run_forward_hooks(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, called: set[int]
) -> Any:
    for key, hook, with_kwargs, always in _forward_hooks(module):
        if always:
            called.add(key)
        given = (args, kwargs) if with_kwargs else (args,)
        changed = hook(module, *given, result)
        if changed is not None:
            result = changed
    return result


def _run_always_called(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[int]
) -> None:
    """After an error: the hooks that were promised a call and have not had it, without result."""
    for key, hook, with_kwargs, always in _forward_hooks(module):
        if not always or key in called:
            continue
        try:
            given = (args, kwargs) if with_kwargs else (args,)
            hook(module, *given, None)
        except Exception as error:  # the first error is the one that is raised
            warnings.warn(
                "module forward hook with ``always_call=True`` raised an exception that was "
                f"silenced as another error was raised in forward: {error}", stacklevel=4)


def _warn_about_plain_hooks(module: Any, args: Any, result: Any, node: Any) -> None:
    if not isinstance(result, Tensor):
        what = (
            "Using non-full backward hooks on a Module that does not return a single Tensor or a "
            "tuple of Tensors is deprecated and will be removed in future versions."
            if not (isinstance(result, tuple) and all(isinstance(r, Tensor) for r in result)) else
            "Using a non-full backward hook when outputs are generated by different autograd Nodes "
            "is deprecated and will be removed in future versions."
            if len({r.grad_fn for r in result}) > 1 else "")
    elif not all(isinstance(a, Tensor) for a in args):
        what = (
            "Using non-full backward hooks on a Module that does not take as input a single Tensor "
            "or a tuple of Tensors is deprecated and will be removed in future versions.")
    elif node is not None and {e for e, _ in node.next_functions} != _nodes_of(args):
        what = (
            "Using a non-full backward hook when the forward contains multiple autograd Nodes is "
            "deprecated and will be removed in future versions.")
    else:
        what = ""
    if what:
        warnings.warn(
            f"{what} This hook will be missing some grad_input. Please use "
            "register_full_backward_hook to get the documented behavior.",
            FutureWarning, stacklevel=5)


def _nodes_of(args: tuple[Any, ...]) -> set[Any]:
    return {node for a in args if isinstance(a, Tensor) and (node := a.grad_fn) is not None}


# ---- for every module ----------------------------------------------------------------------------
def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(module, args)`` before the ``forward`` of every module."""
    return _add(FORWARD_PRE, hook)


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call ``hook(module, args, output)`` after the ``forward`` of every module."""
    return _add(
        FORWARD, hook, kwargs=GLOBAL.forward_with_kwargs if with_kwargs else None,
        always=GLOBAL.forward_always_called if always_call else None)


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(module, grad_output)`` before the backward pass of every module."""
    return _add(BACKWARD_PRE, hook)


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` in the backward pass of every module."""
    _set_kind_of_global_backward_hooks(full=True)
    return _add(BACKWARD, hook)


def register_module_backward_hook(hook: Hook) -> RemovableHandle:
    """Deprecated: sees only the last operation of each ``forward``."""
    _set_kind_of_global_backward_hooks(full=False)
    return _add(BACKWARD, hook)


def _set_kind_of_global_backward_hooks(full: bool) -> None:
    if GLOBAL.backward_is_full is (not full):
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module "
            "hook. Please use only one of them.")
    GLOBAL.backward_is_full = full


def register_module_buffer_registration_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(module, name, buffer)`` in every ``register_buffer``."""
    return _add(GLOBAL.buffer_registration, hook)


def register_module_module_registration_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(module, name, submodule)`` in every ``register_module``."""
    return _add(GLOBAL.module_registration, hook)


def register_module_parameter_registration_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(module, name, parameter)`` in every ``register_parameter``."""
    return _add(GLOBAL.parameter_registration, hook)


def registered(table: HookTable, module: Any, name: str, value: Any) -> Any:
    """What the registration hooks make of a value."""
    for hook in table.values():
        changed = hook(module, name, value)
        if changed is not None:
            value = changed
    return value
