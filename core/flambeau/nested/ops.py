"""What nested tensors do beside elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.errors import LayoutError
from flambeau.layout import wrap_dim
from flambeau.nested.tensor import (
    Jagged,
    NestedInt,
    NestedTensor,
    Several,
    elementwise,
    from_held,
    held_of,
    implements,
    is_nested,
    over,
    parts_of,
)
from flambeau.ops.facts import jagged, strided
from flambeau.ops.memory import to_copy
from flambeau.registry import OPS
from flambeau.tensor import Tensor


@implements("to_copy")
def convert(self: Any, **options: Any) -> Any:
    """A copy with another dtype or on another device."""
    return over(self, lambda t: to_copy(t, **options))


@implements("unbind")
def unbind(self: Any, dim: int = 0) -> Any:
    """The tensors of the batch."""
    return self.unbind(dim)


for _name in ("where", "dropout", "clamp", "fill", "masked_fill", "pow"):
    implements(_name)(
        lambda *args, _f=OPS[_name].function, **named: elementwise(_f, *args, **named))


def _in_place(function: Any) -> Any:
    def write(self: Any, *args: Any, **named: Any) -> Any:
        if fb.is_grad_enabled() and self.requires_grad and self.is_leaf:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation.")
        result = function(self, *args, **named)
        if result.dtype is not self.dtype or not is_nested(result):
            raise RuntimeError(
                f"the result of dtype {result.dtype} does not fit a nested tensor of {self.dtype}")
        with fb.no_grad():
            for mine, new in zip(self._held, result._held, strict=True):
                mine.copy_(new)
        self._requires_grad, self._fn = result._requires_grad, result._fn
        return self

    return write


for _name, _operator in (
    ("add", "iadd"), ("sub", "isub"), ("mul", "imul"), ("div", "itruediv"), ("pow", "ipow"),
    ("relu", ""), ("neg", ""), ("exp", ""), ("clamp", ""), ("masked_fill", ""), ("fill", ""),
):
    setattr(NestedTensor, f"{_name}_", _in_place(OPS[_name].function))
    if _operator:
        setattr(NestedTensor, f"__{_operator}__", getattr(NestedTensor, f"{_name}_"))


# ---- along the last dimensions -----------------------------------------------------------------
@implements("linear")
def linear(input: Any, weight: Tensor, bias: Any = None) -> Any:
    """``input @ weight.T + bias`` in the last dimension."""
    return over(input, lambda t: fb.nn.functional.linear(t, weight, bias))


@implements("layer_norm")
def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Mean 0 and variance 1 over the last dimensions."""
    return over(input, lambda t: fb.nn.functional.layer_norm(
        t, normalized_shape, weight, bias, eps))


@implements("rms_norm")
def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Any:
    """Root mean square 1 over the last dimensions."""
    return over(input, lambda t: fb.nn.functional.rms_norm(t, normalized_shape, weight, eps))


@implements("embedding")
def embedding(input: Any, weight: Tensor, *args: Any, **named: Any) -> Any:
    """Rows of a table at nested indices."""
    return over(input, lambda t: fb.nn.functional.embedding(t, weight, *args, **named))


@implements("matmul", "bmm")
def matmul(self: Any, other: Any) -> Any:
    """The product with a matrix, or of the parts of two nested tensors one by one."""
    if is_nested(self) and not is_nested(other) and other.ndim <= 2 and _is_free(self, -1):
        return over(self, lambda t: t @ other)
    if not is_nested(self) or not is_nested(other):
        raise RuntimeError(
            "matmul: expected two nested tensors, or a nested one and a matrix, got shapes "
            f"{self.shape} and {other.shape}")
    a, b = parts_of(self), parts_of(other)
    if len(a) != len(b):
        raise RuntimeError(f"matmul: batches of {len(a)} and {len(b)} do not fit")
    return from_held(Several(), [x @ y for x, y in zip(a, b, strict=True)])


def _is_free(t: Any, dim: int) -> bool:
    """Whether a dimension is neither the batch nor ragged."""
    return wrap_dim(dim, t.ndim) not in (0, *((t._structure.dim,) if t.layout is jagged else ()))


def _softmax(name: str) -> Any:
    function = OPS[name].function

    def apply(input: Any, dim: int, *, dtype: Any = None) -> Any:
        d = wrap_dim(dim, input.ndim)
        if not d:
            raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
        if _is_free(input, d):
            return over(input, lambda t: function(t, d - 1, dtype=dtype))
        parts = [function(t, d - 1, dtype=dtype) for t in parts_of(input)]
        return from_held(input._structure, [fb.cat(parts, d - 1)])

    apply.__doc__ = f"``{name}`` within each part."
    return apply


for _name in ("softmax", "log_softmax"):
    implements(_name)(_softmax(_name))


# ---- sums --------------------------------------------------------------------------------------
def _reduction(name: str) -> Any:
    function = OPS[name].function

    def apply(self: Any, dim: Any = None, keepdim: bool = False, **named: Any) -> Any:
        if dim is None:
            return function(self.values(), **named)
        dims = [wrap_dim(d, self.ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
        if 0 in dims:
            raise RuntimeError(f"{name}(): not supported for NestedTensor on dim=0")
        inner = [d - 1 for d in dims]
        if all(_is_free(self, d) for d in dims) and self.layout is jagged:
            result = function(self.values(), inner, keepdim=keepdim, **named)
            at = self._structure.dim - (0 if keepdim else sum(d < self._structure.dim
                                                               for d in dims))
            return from_held(Jagged(self._structure.ragged, at), [result])
        parts = [function(t, inner, keepdim=keepdim, **named) for t in parts_of(self)]
        return fb.stack(parts) if self.layout is jagged else from_held(Several(), parts)

    apply.__doc__ = f"``{name}`` of all elements, or within each part."
    return apply


for _name in ("sum", "mean"):
    implements(_name)(_reduction(_name))
for _name in ("amax", "amin", "any", "all", "max", "min"):
    implements(_name)(
        lambda self, _f=OPS[_name].function: _f(self.values()))


# ---- shapes ------------------------------------------------------------------------------------
@implements("transpose")
def transpose(self: Any, dim0: int, dim1: int) -> Any:
    """Exchange two dimensions, not the batch."""
    a, b = wrap_dim(dim0, self.ndim), wrap_dim(dim1, self.ndim)
    if a == b:
        return self
    if not a or not b:
        raise RuntimeError("transpose(): not supported for NestedTensor on dim=0")
    held = [t.transpose(a - 1, b - 1) for t in held_of(self)]
    structure = self._structure
    if self.layout is jagged:
        structure = Jagged(structure.ragged, {a: b, b: a}.get(structure.dim, structure.dim))
    return from_held(structure, held)


@implements("unsqueeze")
def unsqueeze(self: Any, dim: int) -> Any:
    """Insert a dimension of size 1, not before the batch."""
    d = wrap_dim(dim, self.ndim + 1)
    if not d:
        raise RuntimeError("unsqueeze(): not supported for NestedTensor on dim=0")
    held = [t.unsqueeze(d - 1) for t in held_of(self)]
    structure = self._structure
    if self.layout is jagged:
        structure = Jagged(structure.ragged, structure.dim + (d <= structure.dim))
    return from_held(structure, held)


@implements("view", "reshape")
def view(self: Any, shape: Sequence[Any]) -> Any:
    """Another shape; the batch, and what is ragged, stay where they are."""
    sizes = tuple(shape)
    if sizes and sizes[0] not in (-1, len(self)):
        raise RuntimeError(f"view: the batch of {len(self)} cannot become {sizes[0]}")
    if self.layout is strided:
        return from_held(Several(), [t.reshape(sizes[1:]) for t in held_of(self)])
    structure = self._structure
    marked = [d for d, n in enumerate(sizes) if isinstance(n, NestedInt)]
    at = marked[0] if marked else structure.dim
    values, = held_of(self)
    total = values.shape[structure.dim - 1]
    wanted = (*sizes[1:at], total, *sizes[at + 1 :])
    if (marked and sizes[at] != structure.ragged.size) or (not marked and sizes[at] != -1):
        raise RuntimeError(f"view: {self.shape} cannot become {sizes}: the ragged size must stay")
    return from_held(Jagged(structure.ragged, at), [values.reshape(wanted)])


@implements("unflatten")
def unflatten(self: Any, dim: int, sizes: Sequence[int]) -> Any:
    """One dimension as several."""
    d = wrap_dim(dim, self.ndim)
    if not _is_free(self, d):
        raise RuntimeError(f"unflatten(): not supported for NestedTensor on dim={d}")
    return _inner(self, d, len(sizes) - 1, lambda t: t.unflatten(d - 1, sizes))


@implements("flatten")
def flatten(self: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Several dimensions as one."""
    a, b = wrap_dim(start_dim, self.ndim), wrap_dim(end_dim, self.ndim)
    if not all(_is_free(self, d) for d in range(a, b + 1)):
        raise RuntimeError("flatten(): not supported for NestedTensor on ragged dim")
    return _inner(self, a, a - b, lambda t: t.flatten(a - 1, b - 1))


def _inner(t: Any, dim: int, added: int, function: Any) -> Any:
    """A change of the number of dimensions at one that is not ragged."""
    structure = t._structure
    if t.layout is jagged and structure.dim > dim:
        structure = Jagged(structure.ragged, structure.dim + added)
    return from_held(structure, [function(part) for part in held_of(t)])


@implements("chunk")
def chunk(self: Any, chunks: int, dim: int = 0) -> Any:
    """Equal runs of a dimension that is not ragged."""
    d = wrap_dim(dim, self.ndim)
    if not _is_free(self, d):
        raise RuntimeError(f"chunk(): not supported for NestedTensor on dim={d}")
    pieces = [fb.chunk(t, chunks, d - 1) for t in held_of(self)]
    return tuple(from_held(self._structure, list(row)) for row in zip(*pieces, strict=True))


@implements("cat")
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Nested tensors joined: their batches, or a dimension that is not ragged."""
    if not all(map(is_nested, tensors)):
        raise RuntimeError("cat: expected nested tensors only")
    first = tensors[0]
    d = wrap_dim(dim, first.ndim)
    if not d:
        if first.layout is jagged:
            raise RuntimeError("cat(): not supported for NestedTensor on dim=0")
        return from_held(Several(), [part for t in tensors for part in held_of(t)])
    if not _is_free(first, d):
        raise RuntimeError(f"cat(): not supported for NestedTensor on dim={d}")
    columns = zip(*(held_of(t) for t in tensors), strict=True)
    return from_held(first._structure, [fb.cat(list(c), d - 1) for c in columns])


# ---- attention ---------------------------------------------------------------------------------
@implements("scaled_dot_product_attention")
def attention(query: Any, key: Any, value: Any, *args: Any, **named: Any) -> Any:
    """Attention within each part; the batches are equal, the lengths may differ."""
    if not all(map(is_nested, (query, key, value))):
        raise RuntimeError("scaled_dot_product_attention: query, key and value must all be nested")
    if args[:1] not in ((), (None,)) or named.get("attn_mask") is not None:
        raise LayoutError("scaled_dot_product_attention: masks are not supported with nested ones")
    function = fb.nn.functional.scaled_dot_product_attention
    rows = zip(*(parts_of(t) for t in (query, key, value)), strict=True)
    parts = [function(*(t.unsqueeze(0) for t in row), *args, **named).squeeze(0) for row in rows]
    if query.layout is jagged:
        return from_held(query._structure, [fb.cat(parts, query._structure.dim - 1)])
    return from_held(Several(), parts)
