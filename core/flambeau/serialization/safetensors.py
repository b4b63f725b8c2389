"""The safetensors format, on the library of that name: one file or several, all or on demand."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flambeau.construct import from_numpy
from flambeau.serialization.atomic import replaced
from flambeau.serialization.errors import CheckpointError
from flambeau.tensor import Tensor

INDEX: Final = "model.safetensors.index.json"
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def _library() -> Any:
    try:
        import ml_dtypes  # noqa: F401  the library asks NumPy for bfloat16 by its name
        import safetensors
    except ImportError as error:
        raise ImportError(
            "safetensors files need the package safetensors: "
            'pip install "flambeau[checkpoint]"') from error
    return safetensors


# ---- saving ------------------------------------------------------------------------------------
def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Tensors as the bytes of a file.

    Args:
        tensors: by name; they may not share memory, for the format has no views.
        metadata: texts to store beside them.

    Raises:
        RuntimeError: if some share memory.
        TypeError: for what is no tensor, or of a dtype that the format has not.
    """
    return bytes(_serialized("serialize", tensors, metadata))


def _serialized(
    function: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None, *where: str
) -> Any:
    """What a function of the library makes of tensors."""
    library = _library()
    arrays = _arrays(tensors)  # alive until the library has read them
    try:
        specs = {
            name: library.TensorSpec(
                dtype=tensors[name].dtype.name, shape=array.shape, data_ptr=array.ctypes.data,
                data_len=array.nbytes)
            for name, array in arrays.items()}
        return getattr(library, function)(
            specs, *where, metadata=dict(metadata) if metadata else None)
    except library.SafetensorError as error:
        raise TypeError(f"cannot save as safetensors: {error}") from error


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The elements on the host, row by row."""
    import numpy as np

    seen: dict[int, str] = {}
    arrays = {}
    for name, t in tensors.items():
        if not isinstance(t, Tensor):
            raise TypeError(f"{name!r} is no tensor, but a {type(t).__name__}")
        other = seen.setdefault(id(t.storage_().buffer), name)
        if other != name and t.numel():
            raise RuntimeError(
                f"tensors {other!r} and {name!r} share memory, which safetensors files cannot "
                "say: leave one out, or clone() it")
        arrays[name] = np.ascontiguousarray(t.detach().cpu().numpy()).reshape(t.shape)
    return arrays


def save_file(
    tensors: Mapping[str, Tensor], filename: Any, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors to a file, which appears when it is whole; see :func:`save`."""
    with replaced(filename) as file:
        _serialized("serialize_file", tensors, metadata, file.name)


def save_sharded(
    tensors: Mapping[str, Tensor], folder: Any, max_shard_size: int | str = "5GB",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write tensors to several files and an index of them.

    Args:
        folder: is made if need be.
        max_shard_size: bytes of tensors per file, as ``"5GB"``; a larger tensor has its own.

    Returns:
        the path of the index.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, Tensor]] = [{}]
    held, limit = 0, _bytes(max_shard_size)
    for name, t in tensors.items():
        if held and held + t.nbytes > limit:
            shards.append({})
            held = 0
        shards[-1][name] = t
        held += t.nbytes
    where: dict[str, str] = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, place / file, metadata)
        where |= dict.fromkeys(shard, file)
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())},
             "weight_map": where}
    with replaced(place / INDEX) as stream:  # last: what it names is there
        stream.write(json.dumps(index, indent=2).encode())
    return place / INDEX


def _bytes(size: int | str) -> int:
    if isinstance(size, int):
        return size
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B", size.strip().upper())
    if found is None:
        raise ValueError(f"no size: {size!r}; write it as \"5GB\" or \"200MB\"")
    return int(float(found[1]) * _UNITS[found[2]])


# ---- loading -----------------------------------------------------------------------------------
class safe_open:
    """A file whose tensors are read when they are asked for.

    Args:
        filename: a file, an index of several, or the folder of one.
        framework: for the sake of the library's function of this name.
        device: where tensors go.

    Raises:
        CheckpointError: if a file is no safetensors file, or the index is not right.
        OSError: if it cannot be read.
    """

    def __init__(self, filename: Any, framework: str = "flambeau", device: Any = "cpu") -> None:
        self._device = device
        self._files: list[Any] = []
        self._where: dict[str, Any] = {}
        path = Path(filename)
        if path.is_dir():
            path = path / INDEX if (path / INDEX).exists() else path / "model.safetensors"
        for part in _parts_of(path) if path.suffix == ".json" else [path]:
            opened = _open(part)
            self._files.append(opened)
            self._where |= dict.fromkeys(opened.keys(), opened)

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *exc: object) -> None:
        self._files.clear()
        self._where.clear()

    def keys(self) -> list[str]:
        """The names of the tensors, sorted."""
        return sorted(self._where)

    def metadata(self) -> dict[str, str]:
        """The texts beside the tensors."""
        found: dict[str, str] = {}
        for file in self._files:
            found |= file.metadata() or {}
        return found

    def get_tensor(self, name: str) -> Tensor:
        """One tensor, read now.

        Raises:
            KeyError: if there is none of the name.
        """
        return _placed(self._of(name).get_tensor(name), self._device)

    def get_slice(self, name: str) -> Slice:
        """A tensor to be indexed: only what is asked for is read."""
        return Slice(self, name)

    def _of(self, name: str) -> Any:
        if name not in self._where:
            raise KeyError(f"the file has no tensor {name!r}")
        return self._where[name]


class Slice:
    """A tensor in a file, of which indices read a part."""

    def __init__(self, file: safe_open, name: str) -> None:
        self._file, self._name = file, name
        self._found = file._of(name).get_slice(name)

    def get_shape(self) -> list[int]:
        """The shape."""
        return list(self._found.get_shape())

    def get_dtype(self) -> str:
        """The dtype as the format names it: ``"F32"``, ``"BF16"``, ..."""
        name: str = self._found.get_dtype()
        return name

    def __getitem__(self, index: Any) -> Tensor:
        if self.get_dtype().startswith("F8"):  # the library slices only what NumPy has itself
            part: Tensor = self._file.get_tensor(self._name)[index]
            return part
        return _placed(self._found[index], self._file._device)


def load_file(filename: Any, device: Any = "cpu") -> dict[str, Tensor]:
    """All tensors of a file, of an index of several, or of the folder of one.

    Raises:
        CheckpointError: if a file is no safetensors file, or the index is not right.
        OSError: if it cannot be read.
    """
    with safe_open(filename, device=device) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def load(data: bytes, device: Any = "cpu") -> dict[str, Tensor]:
    """All tensors of a file given as bytes.

    Raises:
        CheckpointError: if it is no safetensors file.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:  # the library gives arrays only from files
        path = Path(folder) / "data.safetensors"
        path.write_bytes(data)
        return load_file(path, device)


def _open(path: Path) -> Any:
    library = _library()
    try:
        return library.safe_open(os.fspath(path), framework="np")
    except library.SafetensorError as error:
        raise CheckpointError(f"{os.fspath(path)!r} is no safetensors file: {error}") from error


def _parts_of(index: Path) -> list[Path]:
    """The files that an index names, all beside it."""
    try:
        where = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(where.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{os.fspath(index)!r} is no index of safetensors: {error}") from error
    if not all(type(name) is str and Path(name).name == name for name in names):
        raise CheckpointError(f"{os.fspath(index)!r} names files outside its folder")
    return [index.parent / name for name in names]


def _placed(array: Any, device: Any) -> Tensor:
    import numpy as np

    owned = array if array.flags.owndata and array.flags.writeable else np.array(array)
    placed: Tensor = from_numpy(owned).to(device)
    return placed
