"""For backends that compile: a cache of binaries on disk, private to the user."""

from flambeau.codegen.disk import DiskCache, private_folder

__all__ = ["DiskCache", "private_folder"]
