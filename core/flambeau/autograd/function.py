"""Operations with a backward written by the user."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flambeau import modes
from flambeau.autograd.grad_mode import MODE, no_grad
from flambeau.autograd.node import FREED, SAVED_OUTPUT, Node, OutputOf, Watch, edge_of, save_output
from flambeau.tensor import Tensor, alias_of


class FunctionCtx(Node):
    """What ``forward`` and ``backward`` of a :class:`Function` share; it is the graph's node."""

    __slots__ = ()
    function: type[Function]
    outputs: tuple[tuple[Any, Any], ...]
    """Kind and shape of every output; None for what is no tensor."""
    differentiable: tuple[int, ...]
    """Positions of the outputs that have gradients."""

    def _begin(self, args: tuple[Any, ...]) -> None:
        self.edges = tuple(edge_of(a) if isinstance(a, Tensor) else None for a in args)
        self.needs_input_grad = tuple(edge is not None for edge in self.edges)
        self.hooks, self.saved, self.versions = None, (), ()
        self.materialize_grads = True
        self.dirty_tensors: tuple[Any, ...] = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self.to_save: tuple[Any, ...] = ()
        if Watch.note is not None:
            Watch.note(self)

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors (inputs, outputs or intermediate ones) for ``backward``."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type "
                    f"{type(t).__name__}")
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``jvp``, which then finds these in ``saved_tensors``."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Declare inputs that ``forward`` has modified in place."""
        self.dirty_tensors = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Declare outputs that have no gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros in place of None for outputs without gradient."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to ``save_for_backward``.

        Raises:
            RuntimeError: if they were freed, or modified in place since.
        """
        pushing = self.__dict__.get("pushing")
        if pushing is not None:
            return pushing  # type: ignore[no-any-return]
        if self.saved is None:
            raise RuntimeError(FREED)
        found = []
        for t, version in zip(self.saved, self.versions, strict=True):
            if t is not None and t._version != version:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an "
                    f"inplace operation: a tensor of shape {list(t.shape)} saved by {self.name()} "
                    f"is at version {t._version}; expected version {version} instead.")
            if t is not None and t._extra is SAVED_OUTPUT and MODE.enabled:
                t = self._output_again(t)
            found.append(t)
        return tuple(found)

    def _output_again(self, alias: Tensor) -> Tensor:
        out = alias_of(alias)
        position = self.__dict__["saved_outputs"][id(alias)]
        out._fn = OutputOf.make(self, position, out) if len(self.outputs) > 1 else self
        out._requires_grad = True
        return out

    def _finish_saving(self, outs: tuple[Any, ...]) -> None:
        saved: list[Any] = []
        self.saved_outputs: dict[int, int] = {}
        for t in self.to_save:
            position = next((i for i, out in enumerate(outs) if out is t), None)
            if t is not None and position is not None and t._fn is self._history_of(t):
                alias = save_output(t)
                self.saved_outputs[id(alias)] = position
                saved.append(alias)
            else:
                saved.append(t)
        self.saved = tuple(saved)
        self.versions = tuple(-1 if t is None else t._version for t in saved)
        self.to_save = ()
        if Watch.keep is not None:
            Watch.keep(self)

    def _history_of(self, t: Tensor) -> Any:
        """The node that an output of this call has."""
        fn = t._fn
        return fn if fn is self or (isinstance(fn, OutputOf) and fn.edges[0] is self) else self

    def backward(self, g: Any) -> tuple[Any, ...]:
        """Call the user's backward; one gradient per argument of ``forward``."""
        grads = self._output_grads(g)
        results = self.function.backward(self, *grads)
        results = results if isinstance(results, tuple) else (results,)
        wanted = len(self.edges)
        if len(results) > wanted and all(r is None for r in results[wanted:]):
            results = results[:wanted]
        if len(results) != wanted:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected "
                f"{wanted}, got {len(results)})")
        for i, result in enumerate(results):
            if result is not None and not isinstance(result, Tensor):
                raise TypeError(
                    f"function {self.name()} returned a {type(result).__name__} as gradient {i}; "
                    "expected a Tensor or None")
        return results

    def _pushed(self, along: list[Any]) -> tuple[Any, ...]:
        """Call the user's jvp; one tangent per output of ``forward``."""
        saved = self.__dict__.pop("saved_for_forward", None)
        self.__dict__["pushing"] = saved
        try:
            results = self.function.jvp(self, *along)
        finally:
            del self.__dict__["pushing"]
        return results if isinstance(results, tuple) else (results,)

    def _output_grads(self, g: Any) -> tuple[Any, ...]:
        """Gradients of all outputs, zeros where none came in."""
        given = g if isinstance(g, dict) else {self.differentiable[0]: g}
        grads = []
        for i, (kind, shape) in enumerate(self.outputs):
            have = given.get(i)
            if have is None and self.materialize_grads and kind is not None:
                from flambeau.dispatch import full

                have = full(kind, shape, 0)
            grads.append(have)
        return tuple(grads)


class _FunctionMeta(type):
    """Gives every Function its own node class, named after it."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        cls._node_class = type(
            f"{name}Backward", (FunctionCtx,), {"function": cls, "__slots__": ()})


class Function(metaclass=_FunctionMeta):
    """Derive, write ``forward(ctx, ...)`` and ``backward(ctx, *grads)``, call ``apply``.

    ``forward(...)`` with a separate ``setup_context(ctx, inputs, output)`` works too.
    """

    _node_class: Any
    generate_vmap_rule: bool = False
    """Whether ``vmap`` may be made of the ops of ``forward`` and ``backward``."""
    is_transparent: bool = False
    """Whether modes see the ops of ``forward`` in place of the call."""

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what ``backward`` needs, when ``forward`` takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradient of every argument of ``forward``, None where there is none."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD.")

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """Compute the tangents of the outputs from those of the arguments of ``forward``."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD.")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        """Compute the outputs for a batch: ``(outputs, out_dims)``.

        Args:
            info: has ``batch_size`` and ``randomness``.
            in_dims: which dimension of each argument counts the samples, None for none.
        """
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod "
            "or set generate_vmap_rule=True.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` and record ``backward``."""
        if modes.ACTIVE and not cls.is_transparent:
            handled = modes.intercept_function(cls, args)
            if handled is not NotImplemented:
                return handled
        return cls._called(args, kwargs)[1]

    @classmethod
    def _called(
        cls, args: tuple[Any, ...], kwargs: dict[str, Any], for_jvp: bool = False
    ) -> tuple[Any, Any]:
        """The node and the outputs of a call; ``for_jvp`` saves tensors even if none is needed."""
        ctx = cls._node_class()
        ctx._begin(args)
        recorded = MODE.enabled and any(ctx.needs_input_grad)
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        several = isinstance(result, (tuple, list))
        outs = _wire(ctx, args, tuple(result) if several else (result,), recorded)
        if recorded or for_jvp:
            ctx._finish_saving(outs)
        return ctx, outs if several else outs[0]


def _wire(
    ctx: Any, args: tuple[Any, ...], outs: tuple[Any, ...], recorded: bool
) -> tuple[Any, ...]:
    """Attach the outputs of a call to its node."""
    dirty = {id(t) for t in ctx.dirty_tensors}
    for t in ctx.dirty_tensors:
        t.storage_().version += 1
        if recorded and t._requires_grad and t._fn is None:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation.")
    given = {id(a) for a in args if isinstance(a, Tensor)}
    still = {id(t) for t in ctx.non_differentiable}
    wired = []
    for out in outs:
        if isinstance(out, Tensor) and id(out) in given and id(out) not in dirty:
            shared = out.detach()
            if id(out) in {id(t) for t in ctx.to_save}:
                ctx.to_save = tuple(shared if t is out else t for t in ctx.to_save)
            out = shared
        wired.append(out)
    ctx.outputs = tuple(
        (o._kind, o.shape) if isinstance(o, Tensor) else (None, ()) for o in wired)
    ctx.differentiable = tuple(
        i for i, o in enumerate(wired)
        if isinstance(o, Tensor) and id(o) not in still and o._kind.is_differentiable)
    if not recorded or not ctx.differentiable:
        return tuple(wired)
    first = wired[ctx.differentiable[0]]
    ctx.kind, ctx.shape = first._kind, first.shape
    for i in ctx.differentiable:
        out = wired[i]
        out._fn = OutputOf.make(ctx, i, out) if len(wired) > 1 else ctx
        out._requires_grad = True
        out._base = None
    return tuple(wired)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a ``backward`` that cannot itself be differentiated."""

    @functools.wraps(backward)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            results = backward(ctx, *grads)
        if not MODE.enabled or not any(
            isinstance(g, Tensor) and g.requires_grad for g in grads
        ):
            return results
        several = isinstance(results, tuple)
        refused = _Refuse.apply(*(results if several else (results,)), *grads)
        count = len(results) if several else 1
        return refused[:count] if several else refused[0]

    return wrapper


class _Refuse(Function):
    """Passes values on and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, *values: Any) -> Any:
        return tuple(v.detach() if isinstance(v, Tensor) else v for v in values)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable")
