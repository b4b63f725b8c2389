"""``torch.types``."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence

import flambeau as fb

Number = int | float | bool
Device = fb.device | str | int | None
FileLike = str | os.PathLike[str]
Storage = fb.UntypedStorage
_TensorOrTensors = fb.Tensor | Sequence[fb.Tensor]
_dtype, _device, _size = fb.dtype, fb.device, fb.Size | list[int] | tuple[int, ...]
_int, _float, _bool, _complex = builtins.int, builtins.float, builtins.bool, builtins.complex
