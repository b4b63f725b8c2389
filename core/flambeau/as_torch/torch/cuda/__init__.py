"""``torch.cuda``: the device ``"cuda"``, or the one that its name is mapped to."""

from flambeau import amp as amp
from flambeau import device as _device
from flambeau import tensor_type as _tensor_type
from flambeau.as_torch.device_module import DeviceModule
from flambeau.errors import OutOfMemoryError as OutOfMemoryError

globals().update(DeviceModule("cuda").names())
globals().update({
    name: _tensor_type.TensorType(kind.dtype, _device("cuda"))
    for name, kind in vars(_tensor_type).items() if isinstance(kind, _tensor_type.TensorType)
})


def get_arch_list() -> list[str]:
    """Empty: kernels are compiled when they are first used."""
    return []
