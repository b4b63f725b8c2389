"""Values as tensorboardX takes them, and events that it has no function for."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from flambeau.tensor import Tensor

# numbers of DataType in TensorFlow's types.proto
_TYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8,
    "int64": 9, "bool": 10, "complex128": 18, "float16": 19,
}  # fmt: skip


def tensorboardx(part: str = "") -> Any:
    """The package that writes, or a module of it.

    Raises:
        ModuleNotFoundError: naming the extra that brings it.
    """
    try:
        return importlib.import_module(f"tensorboardX{part}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'writing for TensorBoard needs tensorboardX: pip install "flambeau[tensorboard]"'
        ) from error


def on_host(value: Any) -> Any:
    """A value with all tensors in it, in lists and dicts too, as NumPy arrays."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype.numpy.kind == "V" else value).numpy()
    if isinstance(value, (list, tuple)):
        return type(value)(on_host(item) for item in value)
    if isinstance(value, dict):
        return {key: on_host(item) for key, item in value.items()}
    return value


def tensor_summary(tag: str, value: Any, plugin: str) -> Any:
    """An event that holds an array as it is.

    Args:
        plugin: which of TensorBoard's parts shows it: "scalars" for a number, "tensor".

    Raises:
        TypeError: for a dtype that the format has no number for.
    """
    array = np.asarray(on_host(value))
    if array.dtype.name not in _TYPES:
        raise TypeError(f"TensorBoard's files hold no {array.dtype.name}")
    protocol = tensorboardx(".proto.summary_pb2")
    held = tensorboardx(".proto.tensor_pb2").TensorProto(
        dtype=_TYPES[array.dtype.name],
        tensor_content=np.ascontiguousarray(array).tobytes(),
        tensor_shape=tensorboardx(".proto.tensor_shape_pb2").TensorShapeProto(
            dim=[{"size": size} for size in array.shape]
        ),
    )
    metadata = protocol.SummaryMetadata(
        plugin_data=protocol.SummaryMetadata.PluginData(plugin_name=plugin)
    )
    event = protocol.Summary.Value(tag=tag, metadata=metadata, tensor=held)
    return protocol.Summary(value=[event])
