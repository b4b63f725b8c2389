"""What the names in checkpoints stand for: PyTorch's, whoever wrote the file."""

from __future__ import annotations

from collections import Counter, OrderedDict
from functools import cache
from typing import Any, Final

import numpy as np

from flambeau import dtypes
from flambeau.device import device as Device
from flambeau.layout import Size
from flambeau.serialization import rebuild
from flambeau.storages import legacy
from flambeau.storages.typed import TypedStorage
from flambeau.storages.untyped import UntypedStorage
from flambeau.tensor import Tensor

_TENSORS: Final = {
    "torch._utils._rebuild_tensor": rebuild.tensor_v1,
    "torch._utils._rebuild_tensor_v2": rebuild.tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild.tensor_v3,
    "torch._utils._rebuild_parameter": rebuild.parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild.parameter_with_state,
    "torch._utils._rebuild_sparse_tensor": rebuild.sparse_tensor,
    "torch._utils._rebuild_meta_tensor_no_storage": rebuild.meta_tensor,
    "torch._utils._rebuild_device_tensor_from_numpy": rebuild.device_tensor_from_numpy,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": rebuild.device_tensor,
    "torch._tensor._rebuild_from_type_v2": rebuild.from_type,
    "torch.serialization._get_layout": rebuild.layout_named,
}
_VALUES: Final = {
    "collections.OrderedDict": OrderedDict, "collections.Counter": Counter,
    "_codecs.encode": rebuild.encode,
    "torch.Size": Size, "torch.device": Device, "torch.Tensor": Tensor,
    "torch.storage.TypedStorage": TypedStorage, "torch.storage.UntypedStorage": UntypedStorage,
    "torch.UntypedStorage": UntypedStorage,
    "torch.Generator": rebuild.generator, "torch._C.Generator": rebuild.generator,
    "numpy.dtype": np.dtype, "numpy.ndarray": np.ndarray,
}


@cache
def allowed() -> dict[str, Any]:
    """Everything that a file may name without the user's leave."""
    from flambeau.nn.parameter import Parameter

    found: dict[str, Any] = {
        **_TENSORS, **_VALUES, "torch.nn.parameter.Parameter": Parameter,
        "torch.nn.Parameter": Parameter}
    for module in ("builtins", "__builtin__"):
        found |= {f"{module}.{cls.__name__}": cls for cls in (bytes, bytearray, set, complex)}
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        found[f"{module}.scalar"] = rebuild.numpy_scalar
        found[f"{module}._reconstruct"] = rebuild.numpy_array
    for what in dtypes.ALL:
        found[f"torch.{what.name}"] = what
        cls = legacy.class_of(what)
        if cls is not UntypedStorage:
            found[f"torch.{cls.__name__}"] = found[f"torch.cuda.{cls.__name__}"] = cls
    return found


def find(name: str) -> Any:
    """What a name of :func:`allowed` stands for, None for other names."""
    return allowed().get(name)
