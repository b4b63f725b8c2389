"""``flambeau ckpt inspect FILE`` and ``flambeau ckpt diff A B``: what checkpoints hold.

Nothing in a file is run, and only its table of contents is read to inspect it.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from flambeau.cli.output import human_bytes, print_json, table

_TEXT: int = 60  # characters of a value that are shown


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("ckpt", help="look into checkpoints, and compare them")
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    inspect = actions.add_parser("inspect", help="list what a checkpoint holds")
    inspect.add_argument("file")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.set_defaults(run=run_inspect)
    diff = actions.add_parser("diff", help="compare two checkpoints; status 1 if they differ")
    diff.add_argument("a")
    diff.add_argument("b")
    diff.add_argument("--json", action="store_true", help="print JSON")
    diff.set_defaults(run=run_diff)


# ---- inspect -----------------------------------------------------------------------------------
def run_inspect(options: argparse.Namespace) -> int:
    """Print the entries of a checkpoint.

    Returns:
        1 if it cannot be loaded, else 0.
    """
    try:
        entries = entries_of(options.file)
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return _list_unsafe(options.file)
    rows = describe(entries)
    stored = sum({row["storage"]: row["storage_bytes"] for row in rows if "shape" in row}.values())
    elements = sum(row["elements"] for row in rows if "shape" in row)
    if options.json:
        print_json({"entries": rows, "elements": elements, "bytes": stored})
        return 0
    print(table(("NAME", "TYPE", "SHAPE", "BYTES", "NOTE"), [_row(r) for r in rows]))
    count = sum("shape" in row for row in rows)
    print(f"\n{count} tensors, {elements:,} elements, {human_bytes(stored)} of memory")
    return 0


def _list_unsafe(path: str) -> int:
    """Say which names a file refers to that are not allowed; 1."""
    from flambeau.serialization import get_unsafe_globals_in_checkpoint

    try:
        for name in get_unsafe_globals_in_checkpoint(path):
            print(f"  it refers to {name}", file=sys.stderr)
    except (OSError, RuntimeError):
        pass  # what is wrong with it has been said
    return 1


def entries_of(path: str) -> dict[str, Any]:
    """The tensors and values of a checkpoint by dotted name, read when they are looked at."""
    from flambeau import serialization

    if not os.path.isfile(path):
        if not os.path.isdir(path):
            raise FileNotFoundError(f"there is no file {path!r}")
        return dict(serialization.safetensors.load_file(path))
    with open(path, "rb") as file:
        head = file.read(9)
    if head[8:9] == b"{" or path.endswith(".json"):
        return dict(serialization.safetensors.load_file(path))
    if path.endswith(".npz"):
        return dict(serialization.npz.load_npz(path))
    is_zip = head.startswith(b"PK")
    return flatten(serialization.load(path, map_location=_as_bytes, mmap=is_zip))


def _as_bytes(storage: Any, location: str) -> Any:
    """Keep storages on the CPU, wherever they were."""
    return storage


def flatten(value: Any) -> dict[str, Any]:
    """Nested dicts and sequences as one table of dotted names."""
    found: dict[str, Any] = {}
    waiting = [("", value)]
    while waiting:
        name, item = waiting.pop()
        is_open = isinstance(item, (dict, list, tuple)) and len(item) and len(name) < 1000
        if not is_open or type(item).__name__ == "Size":
            found[name] = item
            continue
        parts = item.items() if isinstance(item, dict) else enumerate(item)
        waiting += [(f"{name}.{k}" if name else str(k), v) for k, v in reversed(list(parts))]
    return found


def describe(entries: dict[str, Any]) -> list[dict[str, Any]]:
    """Facts on each entry; tensors over one storage name it, and the first of them."""
    from flambeau.tensor import Tensor

    numbers: dict[Any, int] = {}
    first: dict[int, str] = {}
    rows: list[dict[str, Any]] = []
    for name, value in entries.items():
        if not isinstance(value, Tensor):
            rows.append({"name": name, "type": type(value).__name__, "value": _short(value)})
            continue
        storage = value.storage_()
        number = numbers.setdefault(storage, len(numbers))
        rows.append({
            "name": name, "type": value.dtype.name, "shape": list(value.shape),
            "strides": list(value.stride()), "offset": value.storage_offset(),
            "elements": value.numel(), "bytes": value.nbytes, "storage": number,
            "storage_bytes": storage.nbytes, "shares_with": first.get(number),
            "requires_grad": value.requires_grad,
        })
        first.setdefault(number, name)
    return rows


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}..."


def _row(row: dict[str, Any]) -> list[str]:
    if "shape" not in row:
        return [row["name"], row["type"], "", "", row["value"]]
    notes = [f"shares memory with {row['shares_with']}"] if row["shares_with"] else []
    if row["bytes"] < row["storage_bytes"] and not row["shares_with"]:
        notes.append(f"part of {human_bytes(row['storage_bytes'])}")
    if row["requires_grad"]:
        notes.append("requires grad")
    return [row["name"], row["type"], str(row["shape"]), human_bytes(row["bytes"]),
            ", ".join(notes)]


# ---- diff --------------------------------------------------------------------------------------
def run_diff(options: argparse.Namespace) -> int:
    """Print what differs between two checkpoints.

    Returns:
        0 if nothing does, 1 if something does or one cannot be loaded.
    """
    try:
        found = compare(entries_of(options.a), entries_of(options.b))
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print_json(found)
    elif found:
        print(table(("NAME", "DIFFERENCE"), [[d["name"], d["difference"]] for d in found]))
    else:
        print("no difference")
    return 1 if found else 0


def compare(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, str]]:
    """The entries that differ, and how."""
    found = []
    for name in dict.fromkeys([*a, *b]):
        if name not in b or name not in a:
            how = f"only in the {'first' if name in a else 'second'}"
        else:
            how = difference(a[name], b[name])
        if how:
            found.append({"name": name, "difference": how})
    return found


def difference(a: Any, b: Any) -> str:
    """How two entries differ; empty if they do not."""
    from flambeau.tensor import Tensor

    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return "" if type(a) is type(b) and repr(a) == repr(b) else f"{_short(a)} | {_short(b)}"
    if a.shape != b.shape:
        return f"shape {list(a.shape)} | {list(b.shape)}"
    if a.dtype is not b.dtype:
        return f"dtype {a.dtype.name} | {b.dtype.name}"
    return _of_values(a, b)


def _of_values(a: Any, b: Any) -> str:
    """How the elements of two tensors differ; equal NaNs are equal."""
    import numpy as np

    x, y = a.detach().numpy(), b.detach().numpy()
    unequal = (x != y) & ~((x != x) & (y != y))
    count = int(unequal.sum())
    if not count:
        return ""
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        largest = np.abs(x[unequal].astype(wide) - y[unequal].astype(wide)).max()
    return f"{count} of {x.size} elements differ, by at most {largest:g}"
