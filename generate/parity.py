"""The page on parity: which of PyTorch's public names are here, and which of its tests pass."""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "tests" / "torch_parity"
PAGE = """\
# Parity with PyTorch

What PyTorch {torch} names publicly, and what its own test databases hold, against flambeau on the
CPU. The numbers are counted: `python -m generate parity` writes this page, and a test holds it.
What is counted is that a name is there; what it does is measured by the databases and by the
conformance suite.

## Public names

{have} of {total}.

| namespace | here | of | missing |
|---|--:|--:|---|
{namespaces}
The names are those of `tests/torch_parity/names.json`, which `make_names.py` beside it reads from
an installed torch: documented or declared, without underscores, without what is left over from
torch's own machinery.

## PyTorch's test databases

Each entry of OpInfo, ModuleInfo and OptimizerInfo is an operator, module or optimizer with the
inputs that PyTorch's own tests give it. An entry passes if all its float32 samples give the values
and gradients that torch gives. Entries that have no meaning outside torch are left out (overloads
of `torch.ops`, private names, compilers of CUDA text).

| database | pass | of |
|---|--:|--:|
{databases}
{misses}"""


def page() -> str:
    """The text of the page."""
    known = _read("names.json")
    namespaces = {space: missing(space, names) for space, names in known["names"].items()}
    total = sum(map(len, known["names"].values()))
    return PAGE.format(
        torch=known["torch"].partition("+")[0],
        have=total - sum(map(len, namespaces.values())),
        total=total,
        namespaces="".join(
            f"| `{space}` | {len(known['names'][space]) - len(lacking)} "
            f"| {len(known['names'][space])} | {' '.join(f'`{name}`' for name in lacking)} |\n"
            for space, lacking in namespaces.items()
        ),
        databases=_databases(known["databases"]),
        misses=_misses(known["databases"]),
    )


def missing(space: str, names: list[str]) -> list[str]:
    """The names of a namespace that flambeau has not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some names warn that they are old when they are looked up
        holder = _namespace(space)
        return [name for name in names if holder is None or not _has(holder, name)]


def _has(holder: Any, name: str) -> bool:
    try:
        return hasattr(holder, name)
    except ImportError:  # a name whose module is not there is not there
        return False


def _namespace(space: str) -> Any:
    """The module or class that stands where PyTorch has the namespace; None if there is none."""
    if space == "torch.Tensor":
        return importlib.import_module("flambeau").Tensor
    try:
        return importlib.import_module(space.replace("torch", "flambeau", 1))
    except ModuleNotFoundError:
        return None


def _read(name: str) -> Any:
    path = DATA / name
    return json.loads(path.read_text()) if path.exists() else {}


def _databases(entries: dict[str, list[str]]) -> str:
    passing = _read("passing.json")
    return "".join(
        f"| {base} | {len(set(names) & set(passing[base]))} | {len(names)} |\n"
        for base, names in entries.items()
    )


def _misses(entries: dict[str, list[str]]) -> str:
    """The entries that do not pass, with the reason that is written down for each."""
    passing, reasons = _read("passing.json"), _read("misses.json")
    lines = []
    for base, names in entries.items():
        given = reasons.get(base, reasons)
        lines += [
            f"| `{name}` | {given.get(name, 'not written down')} |\n"
            for name in sorted(set(names) - set(passing[base]))
        ]
    return "| does not pass | why |\n|---|---|\n" + "".join(lines) if lines else ""
