"""Hooks of saved tensors: what nodes keep for the backward pass may be kept in another form.

While hooks are on, calls take the long way, on which each new node has its saved tensors packed;
it then belongs to a class of its own, whose ``backward`` unpacks them first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from flambeau.autograd.grad_mode import no_grad
from flambeau.autograd.node import FREED, SAVED_OUTPUT, Node, Watch, edge_of
from flambeau.modes import DispatchMode
from flambeau.tensor import Tensor, alias_of

if TYPE_CHECKING:
    from flambeau.registry import Op

Pack = Callable[[Tensor], Any]
Unpack = Callable[[Any], Tensor]


class _Stack(threading.local):
    """The hooks that are on in this thread, innermost last, and why none may be."""

    hooks: tuple[tuple[Pack, Unpack], ...] = ()
    refusal: str | None = None


_stack: Final = _Stack()


class _LongWay(DispatchMode):
    """Keeps calls off the short ways, which make nodes without asking anybody."""

    entered = 0

    def handle(self, op: Op, args: tuple[Any, ...]) -> Any:
        """Let every call go on."""
        return NotImplemented

    def __enter__(self) -> Any:
        _LongWay.entered += 1
        Watch.keep = _keep
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        _LongWay.entered -= 1
        if not _LongWay.entered:
            Watch.keep = None


class saved_tensors_hooks:
    """Within the context, ``pack_hook(tensor)`` is kept in place of a tensor that a node saves.

    ``unpack_hook`` gets what the other returned when the backward pass needs the tensor.  The
    innermost context alone is asked.

    Raises:
        TypeError: if a hook cannot be called, or unpacking gives no tensor.
        RuntimeError: if packing modifies the tensor, or hooks are disabled.
    """

    def __init__(self, pack_hook: Pack, unpack_hook: Unpack) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook
        self._ways: list[_LongWay] = []

    def __enter__(self) -> None:
        if not callable(self.pack_hook) or not callable(self.unpack_hook):
            raise TypeError(
                "saved_tensors_hooks() expects two functions, got "
                f"{type(self.pack_hook).__name__} and {type(self.unpack_hook).__name__}")
        if _stack.refusal is not None:
            raise RuntimeError(_stack.refusal)
        _stack.hooks = (*_stack.hooks, (self.pack_hook, self.unpack_hook))
        self._ways.append(_LongWay())
        self._ways[-1].__enter__()

    def __exit__(self, *exc: object) -> None:
        self._ways.pop().__exit__(*exc)
        _stack.hooks = _stack.hooks[:-1]


class disable_saved_tensors_hooks:
    """Context, or decorator, in which hooks of saved tensors may not be turned on.

    Args:
        error_message: of the error for who tries.

    Raises:
        RuntimeError: if hooks are on already.
    """

    def __init__(self, error_message: str) -> None:
        self.error_message = error_message

    def __enter__(self) -> None:
        if _stack.hooks:
            raise RuntimeError(self.error_message)
        self._before, _stack.refusal = _stack.refusal, self.error_message

    def __exit__(self, *exc: object) -> None:
        _stack.refusal = self._before

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, run in this context."""
        from functools import wraps

        @wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with disable_saved_tensors_hooks(self.error_message):
                return function(*args, **kwargs)

        return within


# ---- packing -------------------------------------------------------------------------------
class Packed:
    """What a node keeps in place of a tensor."""

    __slots__ = ("_edge", "_is_output", "_unpack", "_value", "identity")

    def __init__(self, t: Tensor, hooks: tuple[Pack, Unpack]) -> None:
        pack, self._unpack = hooks
        self._is_output = t._extra is SAVED_OUTPUT
        self._edge = None if self._is_output else edge_of(t)
        self.identity = id(t)
        plain = alias_of(t)
        version = t._version
        with no_grad():
            self._value = pack(plain)
        if t._version != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as "
                "input to pack hook cannot be modified by in-place operations as this can lead to "
                "unexpected side-effects.")

    def tensor(self) -> Tensor:
        """The tensor again, with its place in the graph."""
        found = self._unpack(self._value)
        if not isinstance(found, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of "
                f"type {type(found).__name__}")
        out = alias_of(found)
        if self._is_output:
            out._extra = SAVED_OUTPUT
            out.storage_()
        elif self._edge is not None:
            out._fn, out._requires_grad = _Reattached.make(self._edge, out), True
        return out


class _Reattached(Node):
    """Leads from a tensor that was unpacked to where the saved one's gradient goes."""

    __slots__ = ()

    @staticmethod
    def make(edge: Any, out: Tensor) -> _Reattached:
        """The node of a tensor."""
        node = _Reattached()
        node.edges, node.saved, node.versions, node.hooks = (edge,), (), (), None
        node.kind, node.shape = out._kind, out.shape
        return node

    def backward(self, g: Any) -> tuple[Any, ...]:
        """The gradient itself."""
        return (g,)


def _keep(node: Any) -> None:
    """Pack what a node has saved, if hooks are on in this thread."""
    if not _stack.hooks:
        return
    hooks, saved = _stack.hooks[-1], node.saved
    packed = tuple(_packed(value, hooks) for value in saved)
    if any(a is not b for a, b in zip(packed, saved, strict=True)):
        node.saved, node.versions = packed, (-1,) * len(packed)
        plain: Any = type(node)
        node.__class__ = vars(plain).get("packing") or _packing_class(plain)


def _packed(value: Any, hooks: tuple[Pack, Unpack]) -> Any:
    if isinstance(value, Tensor):
        return Packed(value, hooks)
    if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value):
        return [_packed(v, hooks) for v in value]
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, Packed):
        return value.tensor()
    if isinstance(value, list) and any(isinstance(v, Packed) for v in value):
        return [_unpacked(v) for v in value]
    return value


@contextmanager
def _opened(node: Any) -> Iterator[None]:
    """Within the context a node has the tensors themselves."""
    packed = node.saved
    if packed is None:
        raise RuntimeError(FREED)
    versions, found = node.versions, tuple(map(_unpacked, packed))
    node.saved = found
    node.versions = tuple(v._version if isinstance(v, Tensor) else -1 for v in found)
    _rename_outputs(node, packed, found)
    try:
        yield
    finally:
        node.saved, node.versions = packed, versions


def _packing_class(plain: Any) -> Any:
    """The class of nodes like those of another class whose saved tensors are packed."""

    def backward(self: Any, g: Any) -> Any:
        with _opened(self):
            return plain.backward(self, g)

    def release(self: Any) -> None:
        self.saved = None

    def of_name(self: Any, name: str) -> Any:
        if not name.startswith("_saved_"):
            return plain.__getattr__(self, name)
        with _opened(self):
            return plain.__getattr__(self, name)

    members: dict[str, Any] = {
        "__slots__": (), "__module__": plain.__module__, "__doc__": plain.__doc__,
        "backward": backward, "release": release}
    if hasattr(plain, "__getattr__"):
        members["__getattr__"] = of_name
    if hasattr(plain, "saved_tensors"):  # of a function of the user's, asked for at any time
        members["saved_tensors"] = property(_saved_tensors)
    plain.packing = type(plain.__name__, (plain,), members)
    plain.packing.packing = plain.packing  # what is packed already stays what it is
    return plain.packing


def _saved_tensors(node: Any) -> tuple[Any, ...]:
    if node.saved is None:
        raise RuntimeError(FREED)
    if any(isinstance(value, Packed) for value in node.saved):
        return tuple(map(_unpacked, node.saved))
    from flambeau.autograd.function import FunctionCtx

    found: tuple[Any, ...] = FunctionCtx.saved_tensors.fget(node)  # type: ignore[attr-defined]
    return found


def _rename_outputs(node: Any, packed: tuple[Any, ...], found: tuple[Any, ...]) -> None:
    """Note which outputs unpacked tensors are, for a function of the user's."""
    outputs = node.__dict__.get("saved_outputs")
    if outputs is None:
        return
    for p, t in zip(packed, found, strict=True):
        if isinstance(p, Packed) and p.identity in outputs:
            outputs[id(t)] = outputs[p.identity]
