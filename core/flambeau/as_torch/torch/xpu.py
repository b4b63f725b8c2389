"""``torch.xpu``: the device ``"xpu"``, or the one that its name is mapped to."""

from flambeau.as_torch.device_module import DeviceModule

globals().update(DeviceModule("xpu").names())
