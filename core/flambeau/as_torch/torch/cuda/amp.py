"""``torch.cuda.amp``: the older names of ``torch.amp``, for the device ``"cuda"``."""

from __future__ import annotations

from typing import Any

from flambeau import amp
from flambeau.amp import custom_bwd as custom_bwd
from flambeau.amp import custom_fwd as custom_fwd


class autocast(amp.autocast):
    """``torch.amp.autocast("cuda", ...)``."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(amp.GradScaler):
    """``torch.amp.GradScaler("cuda", ...)``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("cuda", *args, **kwargs)
