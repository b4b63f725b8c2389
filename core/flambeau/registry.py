"""The table of operators: one record per op, written next to its implementation.

An op is a *primitive* (a kernel in every backend), a *view* (arithmetic on layouts) or a
*composite* (a function over other ops).  Tensor methods, functions, documentation and
conformance tests all derive from the record.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from flambeau import schema as schemas
from flambeau.schema import Schema

if TYPE_CHECKING:
    from flambeau.device import device
    from flambeau.dtypes import dtype
    from flambeau.kind import Kind
    from flambeau.layout import Layout
    from flambeau.samples import Errors, Samples

Rule = Callable[..., Any]
Derivative = Callable[..., Any]
OpFunction = Callable[..., Any]


@dataclass(slots=True)
class Result:
    """Shape, dtype and memory order of one output of a kernel."""

    shape: Sequence[int]
    dtype: dtype
    strides: Sequence[int] | None = None  # row-major if None


@dataclass(slots=True)
class Plan:
    """What a primitive's meta rule answers: how to call the kernel, and what comes out."""

    inputs: tuple[Any, ...]
    """Tensors of the dtype that the kernel computes in, or numbers."""
    results: tuple[Result, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    device: device | None = None
    """Where the result is to be, when there are no inputs."""


@dataclass(slots=True)
class Saved:
    """Where a value that a derivative asks for by name comes from."""

    name: str
    source: Literal["argument", "output", "shape", "dtype"]
    position: int


@dataclass(eq=False, slots=True)
class Op:
    """All that is known of an operator."""

    name: str
    kind: Literal["primitive", "view", "composite"]
    schema: Schema
    doc: str
    family: str
    """The module of ``flambeau.ops`` that it stands in."""
    rule: Rule | None = None
    """Primitive: arguments -> Plan.  View: layout and arguments -> Layout."""
    decompose: OpFunction | None = None
    formula: str | Callable[..., str | None] | None = None
    """Scalar formula of a pointwise op, over the names of the schema.  That of a composite may be a
    function of its arguments, natives and plain values: it gives the text, or None where the
    formula does not hold or the call is to be refused.  It may look at dtypes and shapes, and at
    the values of arguments that are no numbers.  For ops of the templates "unary" and "binary" the
    dtype must decide: what took one call of a dtype is given all of them."""
    reduction: str | None = None
    """Reduction formula."""
    derivatives: dict[str, Derivative] = field(default_factory=dict)
    """Per tensor argument: ``rule(g, *names)``; names are arguments, ``out``, ``NAME_shape``..."""
    joint: Derivative | None = None
    """``rule(g, needs, *names) -> tuple``, one gradient per tensor argument."""
    differentiable_outputs: tuple[int, ...] = (0,)
    samples: Samples | None = None
    errors: Errors | None = None
    dtypes: str = "floating"
    """The dtypes that conformance runs: all, numeric, real, floating, integral, bool_integral."""
    methods: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ("",)
    inplace: bool = False
    out: bool = True
    is_random: bool = False
    is_absolute: bool = False
    """View: whether the offset of the result does not move with the offset of the layout."""
    is_required: bool = True
    """Primitive: whether every backend must have a kernel.  Without one, a primitive that is not
    required runs on the CPU, with copies there and back that are counted."""
    template: str = "general"
    fast: dict[Kind, tuple[Callable[..., Any], Kind]] = field(default_factory=dict)
    """Per kind of inputs: the fresh kernel and the kind of its result (filled at first use)."""
    fast_inplace: dict[Kind, Callable[..., Any]] = field(default_factory=dict)
    """Per kind of inputs: the ``out`` kernel for writing to the first of them."""
    mixed: dict[Any, tuple[Any, ...]] = field(default_factory=dict)
    """Per kinds and ranks of two operands of different kinds: how they meet (see dispatch)."""
    accepted: set[tuple[type, ...]] = field(default_factory=set)
    """Combinations of argument types that have passed the checks."""
    saved: dict[str, list[Saved]] = field(default_factory=dict)
    """Per tensor argument (or "" for a joint rule): what its derivative needs."""
    node_class: Any = None
    function: OpFunction = field(default=None)  # type: ignore[assignment]
    inplace_function: OpFunction | None = None

    @property
    def is_differentiable(self) -> bool:
        """Whether the op has a derivative of its own."""
        return bool(self.derivatives) or self.joint is not None

    def __repr__(self) -> str:
        return f"<{self.kind} {self.schema.text}>"


OPS: Final[dict[str, Op]] = {}


def primitives() -> list[Op]:
    """The ops that every backend must have a kernel for."""
    _load()
    return [op for op in OPS.values() if op.kind == "primitive" and op.is_required]


def all_ops() -> list[Op]:
    """Every registered op."""
    _load()
    return list(OPS.values())


def _load() -> None:
    import flambeau.ops  # noqa: F401  registers


def primitive(
    schema: str, *, doc: str, rule: Rule, template: str = "general", **facts: Any
) -> OpFunction:
    """Register an op that has a kernel in every backend; returns the public function.

    Args:
        schema: see :mod:`flambeau.schema`.
        rule: the meta rule, ``rule(*arguments) -> Plan``.
        template: which specialised call path fits: "unary", "binary", "reduction", "general".
        facts: other fields of :class:`Op` (``formula``, ``derivatives``, ``samples``...);
            ``is_required=False`` for what a library computes (Fourier transforms, factorisations):
            a backend may have it.
    """
    return _register("primitive", schema, doc, template, rule=rule, **facts)


def view(schema: str, *, doc: str, rule: Rule, **facts: Any) -> OpFunction:
    """Register an op whose result shares its input's storage.

    Args:
        rule: ``rule(layout, *arguments) -> Layout``, the arguments after the tensor.  It is called
            for the layout at offset 0, and what it gives moves with the offset: unless
            ``is_absolute=True``, for arguments that name a place in the storage.
    """
    return _register("view", schema, doc, "view", rule=rule, out=False, **facts)


def composite(
    schema: str, *, template: str = "general", **facts: Any
) -> Callable[[OpFunction], OpFunction]:
    """Decorator: register a function over other ops; its docstring documents the op.

    Args:
        template: which call path fits: "general", or one of :mod:`flambeau.fused`.
    """

    def register(function: OpFunction) -> OpFunction:
        doc = inspect.getdoc(function) or ""
        family = function.__module__.rpartition(".")[2]
        return _register(
            "composite", schema, doc, template, decompose=function, family=family, **facts
        )

    return register


def _register(
    kind: Literal["primitive", "view", "composite"], schema: str, doc: str, template: str,
    family: str = "", method: bool | None = None, aliases: tuple[str, ...] = (), **facts: Any,
) -> OpFunction:
    from flambeau import wrappers

    parsed = schemas.parse(schema)
    name = parsed.name
    if name in OPS:
        raise ValueError(f"the op {name!r} is registered twice")
    if not doc:
        raise ValueError(f"the op {name!r} needs a doc line")
    namespaces = facts.get("namespaces", ("",))
    takes_tensor = bool(parsed.arguments) and parsed.arguments[0].is_tensor
    is_method = (
        (takes_tensor and not parsed.arguments[0].is_list and "" in namespaces)
        if method is None else method
    )
    methods = ((name,) if is_method else ()) + tuple(aliases)
    op = Op(
        name, kind, parsed, inspect.cleandoc(doc), family or _caller_family(), template=template,
        methods=methods, **facts,
    )
    _bind_derivatives(op)
    OPS[name] = op
    wrappers.build(op)
    return op.function


def _caller_family() -> str:
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    module: str = frame.f_globals.get("__name__", "") if frame is not None else ""
    return module.rpartition(".")[2]


def _bind_derivatives(op: Op) -> None:
    """Find out from their parameter names what the derivatives need to be saved."""
    rules = dict(op.derivatives)
    if op.joint is not None:
        rules[""] = op.joint
    for target, rule in rules.items():
        code = rule.__code__  # inspect.signature would take a fifth of the time of the import
        names = code.co_varnames[: code.co_argcount]
        skip = 2 if target == "" else 1
        op.saved[target] = [_source(op, name) for name in names[skip:]]


def _source(op: Op, name: str) -> Saved:
    positions = {a.name: i for i, a in enumerate(op.schema.arguments)}
    if name in positions:
        return Saved(name, "argument", positions[name])
    outputs = ["out", *op.schema.returns[1:]] if op.schema.returns[0] == "" else (
        list(op.schema.returns)
    )
    if name in outputs:
        return Saved(name, "output", outputs.index(name))
    if name == "out":
        return Saved(name, "output", 0)
    stem, _, what = name.rpartition("_")
    if what in ("shape", "dtype") and stem in positions:
        return Saved(name, what, positions[stem])  # type: ignore[arg-type]
    raise ValueError(f"{op.name}: a derivative asks for {name!r}, which is no argument or output")


def no_derivative(name: str) -> Derivative:
    """A derivative that PyTorch has not either: results require gradients, and asking raises."""

    def refuse(g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return refuse


def apply_view_rule(op: Op, layout: Layout, arguments: tuple[Any, ...]) -> Layout:
    """The layout of a view, remembered for all offsets of the layout it is made from."""
    assert op.rule is not None
    if op.is_absolute:
        absolute: Layout = op.rule(layout, *arguments)
        return absolute
    key = (op.name, arguments)
    try:
        found: Layout | None = layout.memo[key]
    except TypeError:  # unhashable, a list among the arguments
        arguments = tuple(tuple(a) if isinstance(a, list) else a for a in arguments)
        key = (op.name, arguments)
        found = layout.memo[key]
    if found is None:
        found = op.rule(layout.at(0), *arguments)
        assert found is not None
        layout.memo.remember(key, found)
    return found.at(layout.offset + found.offset) if layout.offset else found
