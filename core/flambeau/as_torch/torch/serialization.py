"""What programs ask of ``torch.serialization``, beyond flambeau's own names."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

MAP_LOCATION = Callable[[Any, str], Any] | str | dict[str, str] | None
FILE_LIKE = str | os.PathLike[str] | Any
