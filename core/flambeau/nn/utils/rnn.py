"""Sequences of different lengths in one batch: padded, or packed without the padding."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import flambeau as fb
from flambeau.tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Sequences sorted from long to short, their elements step after step.

    Attributes:
        data: (total length, *), first the first elements of all sequences, then the second.
        batch_sizes: int64 on the CPU: how many sequences have an element at each step.
        sorted_indices: the order of the sequences in ``data``; None if they were sorted.
        unsorted_indices: the inverse order.
    """

    __slots__ = ()

    def __new__(
        cls, data: Tensor, batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None, unsorted_indices: Tensor | None = None,
    ) -> Self:
        """Put the parts together; meant for the functions of this module."""
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("PackedSequence takes data and batch_sizes")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be "
                "created manually. They should be instantiated by functions like "
                "pack_sequence and pack_padded_sequences in nn.utils.rnn.")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """With the data on another device or of another dtype."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self

        def follow(indices: Tensor | None) -> Any:
            return None if indices is None else indices.to(data.device)

        return type(self)(
            data, self.batch_sizes, follow(self.sorted_indices), follow(self.unsorted_indices))

    def cpu(self) -> Self:
        """On the CPU."""
        return self.to("cpu")

    def cuda(self, *args: Any, **kwargs: Any) -> Self:
        """On a CUDA device."""
        return self.to(*args, device="cuda", **kwargs) if not args else self.to(*args, **kwargs)

    def double(self) -> Self:
        """In double precision."""
        return self.to(dtype=fb.float64)

    def float(self) -> Self:
        """In single precision."""
        return self.to(dtype=fb.float32)

    def half(self) -> Self:
        """In half precision."""
        return self.to(dtype=fb.float16)

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a CUDA device."""
        return self.data.device.type == "cuda"

    def is_pinned(self) -> bool:
        """Whether the data is in pinned memory: it never is."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The inverse: ``result[permutation[i]] == i``."""
    if permutation is None:
        return None
    result: Tensor = permutation.argsort()
    return result


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences.

    Args:
        input: (L, N, *), or (N, L, *) if ``batch_first``.
        lengths: of the sequences.
        enforce_sorted: the sequences come from long to short; else they are sorted here.

    Raises:
        RuntimeError: for lengths that are not sorted, not positive, or not as many as sequences.
    """
    if not isinstance(lengths, Tensor):
        lengths = fb.as_tensor(lengths, dtype=fb.int64, device="cpu")
    else:
        lengths = lengths.to(fb.int64)
    order = None
    if not enforce_sorted:
        lengths, order = fb.sort(lengths, descending=True)
        order = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, order)
    if batch_first:
        input = input.transpose(0, 1)
    counts = [int(n) for n in lengths.tolist()]
    _check_lengths(counts, input)
    batch_sizes = _batch_sizes(counts)
    steps = [input[t, :size] for t, size in enumerate(batch_sizes)]
    sizes = fb.tensor(batch_sizes, dtype=fb.int64)
    return PackedSequence(fb.cat(steps, 0), sizes, order, None)


def _check_lengths(lengths: list[int], input: Tensor) -> None:
    if len(lengths) != input.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={input.shape[1]})")
    if not lengths or lengths[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0")
    if any(a < b for a, b in itertools.pairwise(lengths)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability.")


def _batch_sizes(lengths: list[int]) -> list[int]:
    """From lengths, sorted from long to short, to the number of sequences at each step."""
    return [sum(n > t for n in lengths) for t in range(lengths[0])]


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`pack_padded_sequence`: padded sequences and their lengths.

    Args:
        padding_value: stands behind the ends.
        total_length: pad to this length in place of the longest sequence's.

    Raises:
        ValueError: if the longest sequence is longer than ``total_length``.
    """
    sizes = [int(n) for n in sequence.batch_sizes.tolist()]
    length = len(sizes)
    if total_length is not None:
        if total_length < length:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, "
                f"but got total_length={total_length} and max sequence length being {length}")
        length = total_length
    data = sequence.data
    steps = []
    for part in data.split(sizes, 0):
        missing = sizes[0] - part.shape[0]
        if missing:
            filler = data.new_full((missing, *data.shape[1:]), padding_value)
            part = fb.cat([part, filler], 0)
        steps.append(part)
    if length > len(sizes):
        filler = data.new_full((sizes[0], *data.shape[1:]), padding_value)
        steps += [filler] * (length - len(sizes))
    padded = fb.stack(steps, 1 if batch_first else 0)
    lengths = fb.tensor([sum(n > i for n in sizes) for i in range(sizes[0])], dtype=fb.int64)
    restore = sequence.unsorted_indices
    if restore is not None:
        padded = padded.index_select(0 if batch_first else 1, restore)
        lengths = lengths[restore.cpu()]
    return padded, lengths


def pad_sequence(
    sequences: Iterable[Tensor] | Tensor, batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L_i, *) of different lengths as one tensor (L, N, *) or (N, L, *).

    Args:
        padding_side: "right" or "left".

    Raises:
        RuntimeError: for something that cannot be iterated over, or no sequence at all.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}.")
    items = list(sequences.unbind(0) if isinstance(sequences, Tensor) else sequences)
    if not items:
        raise RuntimeError("received an empty list of sequences")
    length = max(s.shape[0] for s in items)
    padded = []
    for s in items:
        missing = length - s.shape[0]
        if missing:
            filler = s.new_full((missing, *s.shape[1:]), padding_value)
            s = fb.cat([s, filler] if padding_side == "right" else [filler, s], 0)
        padded.append(s)
    return fb.stack(padded, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The inverse of :func:`pad_sequence`."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    counts = lengths.tolist()
    return [s[: int(n)] for s, n in zip(padded_sequences, counts, strict=False)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L_i, *) of different lengths."""
    lengths = fb.as_tensor([s.shape[0] for s in sequences])
    return pack_padded_sequence(
        pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The inverse of :func:`pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
