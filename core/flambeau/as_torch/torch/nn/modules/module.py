"""Private names of ``torch.nn.modules.module`` that libraries use."""

from flambeau.nn.modules.module import IncompatibleKeys

_IncompatibleKeys = IncompatibleKeys
