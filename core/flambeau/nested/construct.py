"""Making nested tensors, and dense tensors of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.nested.tensor import (
    Jagged,
    Ragged,
    Several,
    from_held,
    is_nested,
    make,
    parts_of,
)
from flambeau.ops.facts import jagged, strided
from flambeau.tensor import Tensor


def _checked(tensors: Sequence[Tensor]) -> None:
    for i, t in enumerate(tensors):
        if t.ndim != tensors[0].ndim:
            raise RuntimeError(
                "All Tensors given to nested_tensor must have the same dimension. Found dimension "
                f"{t.ndim} for Tensor at index {i} and dimension {tensors[0].ndim} for Tensor at "
                "index 0.")


def _of(tensors: Sequence[Tensor], layout: Any) -> Any:
    """A nested tensor of some dense ones, through which gradients flow."""
    _checked(tensors)
    if layout is None or layout is strided:
        return from_held(Several(), tensors)
    if layout is not jagged:
        raise RuntimeError(
            f"Specified layout is unsupported for nested tensors: {layout}")
    if not tensors:
        raise RuntimeError("Cannot construct a nested tensor from an empty tensor list")
    shapes = [tuple(t.shape) for t in tensors]
    if not shapes[0]:
        raise RuntimeError("jagged nested tensors need parts of at least one dimension")
    differs = [d for d, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) > 1]
    if len(differs) > 1:
        raise RuntimeError(
            "Cannot represent given tensor list as a nested tensor with the jagged layout. Note "
            "that the jagged layout only allows for a single ragged dimension. For example: "
            f"(B, *, D_0, D_1, ..., D_N), with ragged * dim. Got shapes {shapes}")
    d = differs[0] if differs else 0
    ends = fb.tensor([s[d] for s in shapes], dtype=fb.int64, device=tensors[0].device).cumsum(0)
    offsets = fb.cat([ends.new_zeros(1), ends])
    return from_held(Jagged(Ragged(offsets), d + 1), [fb.cat(list(tensors), d)])


def nested_tensor(
    tensor_list: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:
    """A nested tensor holding a copy of some tensors, or of lists of numbers, without history.

    Args:
        layout: ``strided`` (the default), or ``jagged`` if the tensors differ in one dimension.
    """
    if isinstance(tensor_list, Tensor) and layout is jagged:
        tensor_list = list(tensor_list.unbind())
    if not isinstance(tensor_list, (list, tuple)):
        raise TypeError(
            "Only lists (List[Tensor] and List[List...[Scalar]]) are accepted in nested_tensor")
    first = next((t for t in tensor_list if isinstance(t, Tensor)), None)
    place = device if device is not None or first is None else first.device
    tensors = [
        t.detach().to(device=place, dtype=dtype, copy=True) if isinstance(t, Tensor)
        else fb.tensor(t, dtype=dtype, device=place) for t in tensor_list]
    if tensors:
        tensors = [t.to(dtype or tensors[0].dtype) for t in tensors]
    made = _of(tensors, layout)
    return made.requires_grad_() if requires_grad else made


def as_nested_tensor(ts: Any, dtype: Any = None, device: Any = None, layout: Any = None) -> Any:
    """A nested tensor of some tensors, or of the parts of one, through which gradients flow."""
    if is_nested(ts):
        wanted = ts.layout if layout is None else layout
        moved = ts.to(device=device, dtype=dtype)
        return moved if wanted is ts.layout else _of(parts_of(moved), wanted)
    if isinstance(ts, Tensor):
        ts = list(ts.unbind())
    if not isinstance(ts, (list, tuple)) or not all(isinstance(t, Tensor) for t in ts):
        raise TypeError(
            "as_nested_tensor(): Expected first argument to be a tensor or a list / tuple of "
            "tensors")
    return _of([t.to(device=device, dtype=dtype) for t in ts], layout)


def nested_tensor_from_jagged(
    values: Tensor, offsets: Tensor | None = None, lengths: Tensor | None = None,
    jagged_dim: int | None = None, min_seqlen: int | None = None, max_seqlen: int | None = None,
) -> Any:
    """A jagged tensor over packed parts.

    Args:
        values: the parts one after the other in dimension ``jagged_dim - 1``.
        offsets: (batch + 1,), where they begin; or ``lengths``: (batch,), their sizes.
        jagged_dim: the dimension of the result that is ragged, 1 if None.
        min_seqlen, max_seqlen: accepted; the sizes are known.
    """
    if offsets is None:
        if lengths is None:
            raise RuntimeError(
                "nested_tensor_from_jagged(): At least one of offsets or lengths is required.")
        ends = lengths.long().cumsum(0)
        offsets = fb.cat([ends.new_zeros(1), ends])
    elif lengths is not None and lengths.tolist() != (offsets[1:] - offsets[:-1]).tolist():
        dim = jagged_dim or 1
        runs = zip(offsets[:-1].tolist(), lengths.tolist(), strict=True)
        return _of([values.narrow(dim - 1, *run) for run in runs], jagged)
    ragged = Ragged(offsets.long())
    dim = jagged_dim or 1
    if not 1 <= dim <= values.ndim:
        raise RuntimeError(f"nested_tensor_from_jagged(): jagged_dim {dim} is out of range")
    if sum(ragged.lengths) != values.shape[dim - 1]:
        raise RuntimeError(
            f"nested_tensor_from_jagged(): the parts have {sum(ragged.lengths)} places, the values "
            f"{values.shape[dim - 1]}")
    return from_held(Jagged(ragged, dim), [values])


def to_padded_tensor(
    input: Any, padding: float, output_size: Any = None, out: Any = None
) -> Any:
    """A dense tensor of a nested one, with ``padding`` where a part has no element.

    Args:
        output_size: its shape, at least the largest sizes; those if None.
    """
    if not is_nested(input):
        raise fb.errors.LayoutError("to_padded_tensor: the tensor is not nested")
    parts = parts_of(input)
    if not parts:
        raise RuntimeError("to_padded_tensor: the nested tensor is empty")
    sizes = [max(column) for column in zip(*(t.shape for t in parts), strict=True)]
    if output_size is not None:
        wanted = list(output_size)[1:]
        if len(wanted) != len(sizes) or any(
                a < b for a, b in zip(wanted, sizes, strict=True)):
            raise RuntimeError(
                f"Value in output_size is less than NestedTensor padded size. Truncation is not "
                f"supported: {list(output_size)} for {[len(parts), *sizes]}")
        sizes = wanted
    padded = []
    for part in parts:
        room: list[int] = []
        for have, want in zip(part.shape[::-1], sizes[::-1], strict=True):
            room += [0, want - have]
        padded.append(fb.nn.functional.pad(part, room, value=padding) if any(room) else part)
    result = fb.stack(padded)
    return result if out is None else out.copy_(result)


def narrow(
    tensor: Tensor, dim: int, start: Any, length: Any, layout: Any = strided
) -> Any:
    """Runs of dimension 1 of a tensor, one per part, as a nested tensor.

    Args:
        start, length: numbers, or (batch,).
    """
    if dim != 1:
        raise RuntimeError(f"narrow: nested tensors are cut in dimension 1, got {dim}")
    count = tensor.shape[0]
    starts, lengths = (
        v.tolist() if isinstance(v, Tensor) else [v] * count for v in (start, length))
    if len(starts) != count or len(lengths) != count:
        raise RuntimeError(
            f"narrow: start and length must have the batch size {count}, got {len(starts)} and "
            f"{len(lengths)}")
    return _of([
        tensor[i].narrow(0, s, n) for i, (s, n) in enumerate(zip(starts, lengths, strict=True))],
        layout)


def masked_select(tensor: Tensor, mask: Tensor) -> Any:
    """The elements of a matrix where a mask holds, row by row, as a jagged tensor."""
    if tensor.ndim != 2 or mask.dtype is not fb.bool:
        raise RuntimeError("masked_select: expected a 2-d tensor and a boolean mask")
    mask = mask.expand(tensor.shape)
    return nested_tensor_from_jagged(tensor[mask], lengths=mask.sum(1))


def zeros_like(input: Any, **options: Any) -> Any:
    """A nested tensor of the same structure filled with 0."""
    return make(input._structure, [fb.zeros_like(t, **options) for t in input._held])
