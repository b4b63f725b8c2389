"""The base class of all modules."""

from __future__ import annotations

from typing import Any

from flambeau.nn.modules import _tables
from flambeau.nn.modules._conversion import Conversion
from flambeau.nn.modules._hooks import (
    BACKWARD,
    BACKWARD_PRE,
    FORWARD,
    FORWARD_PRE,
    GLOBAL,
    Hooks,
    call_with_hooks,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
    registered,
)
from flambeau.nn.modules._state import IncompatibleKeys, State
from flambeau.nn.modules._traversal import Traversal
from flambeau.nn.parameter import Buffer, Parameter
from flambeau.tensor import Tensor

__all__ = [
    "IncompatibleKeys",
    "Module",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]


class Module(Traversal, State, Conversion, Hooks):
    """Base of all neural network modules: derive, assign parts in ``__init__``, write ``forward``.

    Parameters, buffers and modules that are assigned to attributes are registered: they move,
    save, load and switch mode together.
    """

    dump_patches: bool = False
    call_super_init: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            name = type(self).__name__
            raise TypeError(
                f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                if kwargs else
                f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given")
        self._make_tables()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation of a call; every subclass writes its own."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` with all hooks around it."""
        if not (
            self._forward_hooks or self._forward_pre_hooks or self._backward_hooks
            or self._backward_pre_hooks or FORWARD or FORWARD_PRE or BACKWARD or BACKWARD_PRE
        ):
            return self.forward(*args, **kwargs)
        return call_with_hooks(self, args, kwargs)

    # ---- registration ----------------------------------------------------------------------
    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name; None holds the place of one that is not used.

        Raises:
            TypeError: if it is no parameter.
            ValueError: if it has a history.
            KeyError: for a name that cannot be used.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name("parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_type_name(param)}' object to parameter '{name}' "
                "(flambeau.nn.Parameter or None required)")
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
                f"created explicitly. To express '{name}' as a function of another Tensor, compute "
                "the value in the forward() method.")
        if param is not None and GLOBAL.parameter_registration:
            param = registered(GLOBAL.parameter_registration, self, name, param)
        self._parameters[name] = param

    def register_buffer(
        self, name: str, tensor: Tensor | None, persistent: bool = True
    ) -> None:
        """Add a tensor that is no parameter but part of the state, as a running mean is.

        Args:
            persistent: whether ``state_dict()`` contains it.

        Raises:
            TypeError: if it is no tensor.
            KeyError: for a name that cannot be used.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_type_name(tensor)}' object to buffer '{name}' "
                "(flambeau Tensor or None required)")
        if GLOBAL.buffer_registration:
            tensor = registered(GLOBAL.buffer_registration, self, name, tensor)
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under a name.

        Raises:
            TypeError: if it is no module.
            KeyError: for a name that cannot be used.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_name(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        if GLOBAL.module_registration:
            module = registered(GLOBAL.module_registration, self, name, module)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Alias for :meth:`add_module`."""
        self.add_module(name, module)

    def _check_name(self, what: str, name: str, table: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {_type_name(name)}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute '{name}' already exists")

    # ---- attributes ------------------------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        held = self.__dict__
        if "_parameters" in held:  # so are the others; written out, for this is a hot path
            values = held["_parameters"]
            if name in values:
                return values[name]
            values = held["_buffers"]
            if name in values:
                return values[name]
            values = held["_modules"]
            if name in values:
                return values[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        held = self.__dict__
        if isinstance(value, Parameter):
            self._need(held, "_parameters", "parameters")
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if value is not None and name in held.get("_parameters", ()):
                self._refuse(name, value, "parameter", "flambeau.nn.Parameter or None")
            self._need(held, "_modules", "module")
            self._forget(name, "_parameters", "_buffers")
            if GLOBAL.module_registration:
                value = registered(GLOBAL.module_registration, self, name, value)
            self._modules[name] = value
        else:
            self._set_other(held, name, value)

    def _set_other(self, held: dict[str, Any], name: str, value: Any) -> None:
        """A tensor, None or any other object."""
        if name in held.get("_parameters", ()):
            if value is not None:
                self._refuse(name, value, "parameter", "flambeau.nn.Parameter or None")
            self.register_parameter(name, value)
        elif name in held.get("_modules", ()):
            if value is not None:
                self._refuse(name, value, "child module", "flambeau.nn.Module or None")
            self._modules[name] = value
        elif isinstance(value, Tensor) and isinstance(value, Buffer):
            self._need(held, "_buffers", "buffers")
            self._forget(name, "_parameters", "_modules")
            self.register_buffer(name, value, value.persistent)  # type: ignore[attr-defined]
        elif name in held.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                self._refuse(
                    name, value, "buffer", "flambeau.nn.Buffer, flambeau.Tensor or None")
            if GLOBAL.buffer_registration:
                value = registered(GLOBAL.buffer_registration, self, name, value)
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            object.__delattr__(self, name)

    @staticmethod
    def _need(held: dict[str, Any], table: str, what: str) -> None:
        if table not in held:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")

    def _forget(self, name: str, *tables: str) -> None:
        """Drop what else the name may have stood for."""
        held = self.__dict__
        held.pop(name, None)
        for table in tables:
            held[table].pop(name, None)
        held["_non_persistent_buffers_set"].discard(name)

    @staticmethod
    def _refuse(name: str, value: Any, what: str, wanted: str) -> None:
        raise TypeError(
            f"cannot assign '{_type_name(value)}' as {what} '{name}' ({wanted} expected)")

    def __dir__(self) -> list[str]:
        names = {
            *dir(type(self)), *self.__dict__, *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._make_tables()  # so that pickles from before a table existed load
        self.__dict__.update(state)

    # ---- text ----------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """What stands between the parentheses of the module's own line; for subclasses."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        text = f"{self._get_name()}("
        if len(lines) == 1 and not children:
            text += lines[0]
        elif lines or children:
            text += "\n  " + "\n  ".join(lines + children) + "\n"
        return text + ")"


def _type_name(value: Any) -> str:
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _indented(text: str) -> str:
    """The text with every line but the first moved in by two columns."""
    return text.replace("\n", "\n  ")


# For typing.get_type_hints of a module's class: names are looked up where the annotations stand.
vars(_tables).update(Module=Module, Parameter=Parameter)
