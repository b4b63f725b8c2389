"""Pillow, imported when an image is at hand.  It is an extra: transforms of tensors need it not."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def pillow(module: str) -> Any:
    """A module of Pillow, such as ``"Image"``.

    Raises:
        ImportError: Pillow is not installed; the message has the pip line.
    """
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise ImportError(
            'images need Pillow, which is not installed: pip install "flambeau[vision]"'
        ) from error


def is_image(value: Any) -> bool:
    """Whether this is a Pillow image; does not import Pillow."""
    image = sys.modules.get("PIL.Image")
    return image is not None and isinstance(value, image.Image)


def channels_of(image: Any) -> int:
    """Number of bands of a Pillow image."""
    return len(image.getbands())
