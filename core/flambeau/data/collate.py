"""From a list of samples to one batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.data import assemble
from flambeau.tensor import Tensor

CollateMap = dict[type | tuple[type, ...], Callable[..., Any]]

# NumPy kinds that no tensor holds: objects, bytes, text, raw records.
_NOT_NUMERIC = "OSUV"


def _like_mapping(template: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """The items in a mapping of the template's type, or a dict if that type cannot be rebuilt."""
    try:
        if isinstance(template, MutableMapping):
            clone = copy.copy(template)  # keeps what else the mapping carries
            clone.update(items)
            return clone
        return type(template)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _like_sequence(template: Sequence[Any], items: list[Any]) -> Any:
    """The items in a sequence of the template's type, or a list if that type cannot be rebuilt."""
    try:
        if isinstance(template, MutableSequence):
            clone = copy.copy(template)
            for position, item in enumerate(items):
                clone[position] = item
            return clone
        return type(template)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def default_convert(data: Any) -> Any:
    """NumPy arrays and scalars within nested containers become tensors; the rest stays.

    Used by a ``DataLoader`` that does not batch (``batch_size=None``).
    """
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in _NOT_NUMERIC else fb.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(item) for item in data))
    if isinstance(data, tuple):
        return [default_convert(item) for item in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like_sequence(data, [default_convert(item) for item in data])
    return data


def collate(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Any:
    """Collate samples of any nesting.

    Args:
        batch: the samples; the type of the first decides.
        collate_fn_map: how to collate the leaves: type (or tuple of types) to a function
            ``f(batch, *, collate_fn_map)``.  An exact type wins, then the first base class.

    Raises:
        TypeError: for a leaf that the map does not know.
        RuntimeError: for sequences of unequal length.
    """
    first = batch[0]
    rule = _rule_for(first, collate_fn_map or {})
    if rule is not None:
        return rule(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        columns = {
            key: collate([sample[key] for sample in batch], collate_fn_map=collate_fn_map)
            for key in first
        }
        return _like_mapping(first, columns)
    if isinstance(first, Sequence):
        return _collate_sequences(batch, collate_fn_map)
    raise _cannot_collate(type(first))


def _rule_for(sample: Any, rules: CollateMap) -> Callable[..., Any] | None:
    exact = rules.get(type(sample))
    if exact is not None:
        return exact
    return next((rule for types, rule in rules.items() if isinstance(sample, types)), None)


def _collate_sequences(batch: Sequence[Any], rules: CollateMap | None) -> Any:
    first = batch[0]
    if any(len(sample) != len(first) for sample in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    columns = [collate(column, collate_fn_map=rules) for column in zip(*batch, strict=True)]
    if isinstance(first, tuple):
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    return _like_sequence(first, columns)


def _cannot_collate(found: Any) -> TypeError:
    return TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {found}"
    )


def _collate_tensors(batch: Sequence[Tensor], *, collate_fn_map: CollateMap | None = None) -> Any:
    stacked = assemble.stack(batch)
    return fb.stack(list(batch), 0) if stacked is None else stacked


def _collate_arrays(
    batch: Sequence[np.ndarray[Any, Any]], *, collate_fn_map: CollateMap | None = None
) -> Any:
    if batch[0].dtype.kind in _NOT_NUMERIC:
        raise _cannot_collate(batch[0].dtype)
    return collate([fb.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def _collate_numpy_scalars(
    batch: Sequence[np.generic], *, collate_fn_map: CollateMap | None = None
) -> Any:
    return fb.as_tensor(np.array(batch))


def _collate_floats(batch: Sequence[float], *, collate_fn_map: CollateMap | None = None) -> Any:
    return fb.tensor(batch, dtype=fb.float64)


def _collate_ints(batch: Sequence[int], *, collate_fn_map: CollateMap | None = None) -> Any:
    return fb.tensor(batch)


def _keep(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Any:
    return batch


default_collate_fn_map: CollateMap = {
    Tensor: _collate_tensors,
    np.ndarray: _collate_arrays,
    (np.bool_, np.number, np.object_): _collate_numpy_scalars,
    float: _collate_floats,
    int: _collate_ints,
    str: _keep,
    bytes: _keep,
}
"""How ``default_collate`` treats leaves; extend it in place for types of your own."""


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack samples into a batch with a new dimension 0.

    Tensors and NumPy arrays are stacked; ``int`` gives int64 and ``float`` float64 tensors; text
    stays a list; mappings, named tuples and sequences are collated item by item (a tuple becomes
    a list).
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def stacks_tensors(collate_fn: Callable[..., Any]) -> bool:
    """Whether it is ``default_collate`` and nobody has changed what that does with tensors."""
    return collate_fn is default_collate and (
        default_collate_fn_map.get(Tensor) is _collate_tensors
        and default_collate_fn_map.get(tuple) is None
    )
