"""Checkpoints: PyTorch's files, read and written without PyTorch and without running their code."""

from __future__ import annotations

from flambeau.serialization import npz, safetensors
from flambeau.serialization.errors import CheckpointError
from flambeau.serialization.location import (
    default_restore_location,
    location_tag,
    register_package,
)
from flambeau.serialization.options import (
    LoadEndianness,
    add_safe_globals,
    clear_safe_globals,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    get_safe_globals,
    safe_globals,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
    skip_data,
)
from flambeau.serialization.reading import get_unsafe_globals_in_checkpoint, load
from flambeau.serialization.writing import save

__all__ = [
    "CheckpointError",
    "LoadEndianness",
    "add_safe_globals",
    "clear_safe_globals",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "location_tag",
    "npz",
    "register_package",
    "safe_globals",
    "safetensors",
    "save",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
]
