"""``flambeau new-backend NAME``: write a project for a backend of one's own.

Its device methods keep tensors in host memory and its kernels all raise, so that the
conformance suite runs from the first minute and counts what works.
"""

from __future__ import annotations

import argparse
import keyword
import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from flambeau.cli.output import print_json

if TYPE_CHECKING:
    from flambeau.cli.needs import Call, Needs
    from flambeau.registry import Op

TEMPLATES = Path(__file__).parent / "templates" / "new_backend"
PIECES = ("kernel.py.tmpl", "family.py.tmpl")
"""Templates of parts of files, not of whole ones."""


def add_to(commands: Any) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("new-backend", help="write a project for a backend of your own")
    command.add_argument("name", metavar="NAME", help="the device type, as in x.to(NAME)")
    command.add_argument(
        "--dir", type=Path, default=None, help="where to write it (default: ./flambeau-NAME)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the project and say what to do next."""
    try:
        folder = options.dir or Path(f"flambeau-{options.name.replace('_', '-')}")
        files = write_project(options.name, folder)
    except (ValueError, FileExistsError) as error:
        print(f"flambeau new-backend: {error}", file=sys.stderr)
        return 2
    if options.json:
        print_json({"directory": str(folder), "files": [str(f) for f in files]})
        return 0
    print(f"wrote {len(files)} files to {folder}; next:")
    print(f"  pip install -e {folder}")
    print(f"  flambeau conformance {options.name} --level 0")
    print(f"and read {folder / 'README.md'}: it says which kernel to write first")
    return 0


def write_project(name: str, folder: Path) -> list[Path]:
    """Write the files of a new backend's project.

    Args:
        name: the device type.
        folder: where to; it must not exist or be empty.

    Returns:
        The files, relative to the folder.

    Raises:
        ValueError: for a name that cannot be a device type of one's own.
        FileExistsError: if the folder has files in it.
    """
    _check_name(name)
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: choose another place with --dir")
    files = _render(name)
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return list(files)


def _check_name(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise ValueError(f"{name!r} cannot name a device: use lower-case letters, digits and _")
    if name in ("cpu", "cuda", "meta", "opencl"):
        raise ValueError(f"{name!r} is a device type of flambeau's own: choose another name")


# ---- rendering -------------------------------------------------------------------------------
def _render(name: str) -> dict[Path, str]:
    """The texts of all files."""
    from flambeau.cli.needs import needs_of_all_ops, order
    from flambeau.cli.version import version_of
    from flambeau.registry import primitives

    needs = needs_of_all_ops()
    families: dict[str, list[Op]] = {}
    for op in primitives():
        families.setdefault(op.family, []).append(op)
    steps = list(order(needs))
    values = {
        "name": name,
        "package": f"flambeau_{name}",
        "distribution": f"flambeau-{name.replace('_', '-')}",
        "Class": "".join(part.capitalize() for part in name.split("_")) + "Backend",
        "version": version_of("flambeau").replace("not installed", "0.1"),
        "api": str(_api()),
        "first": steps[0].kernel,
        "count": str(len(steps)),
        "families": ", ".join(sorted(families)),
        "steps": "\n".join(f"| `{s.kernel}` | {s.unlocks} | {s.works} |" for s in steps),
    }
    files = {}
    for template in sorted(TEMPLATES.rglob("*.tmpl")):
        if template.name not in PIECES:
            files[_target(template, values["package"])] = _fill(template, values)
    for family, ops in sorted(families.items()):
        kernels = "\n\n".join(_kernel(name, op, needs) for op in ops)
        facts = {**values, "family": family, "kernels": kernels}
        path = Path(values["package"], "kernels", f"{family}.py")
        files[path] = _fill(TEMPLATES / "package" / "kernels" / "family.py.tmpl", facts)
    return files


def _api() -> tuple[int, int]:
    from flambeau.backend import API

    return API


def _target(template: Path, package: str) -> Path:
    parts = template.relative_to(TEMPLATES).with_suffix("").parts
    return Path(*(package if part == "package" else part for part in parts))


def _fill(template: Path, values: dict[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(values)


def _kernel(name: str, op: Op, needs: Needs) -> str:
    """The source of one kernel that raises."""
    facts = [op.doc.partition("\n")[0], "", f"``{op.schema.text}``"]
    if isinstance(op.formula, str):
        facts.append(f"Formula: ``{op.formula}``")
    if op.reduction is not None:
        facts.append(f"Reduction: ``{op.reduction}``")
    values = {
        "name": name,
        "op": op.name,
        "function": f"{op.name}_" if keyword.iskeyword(op.name) else op.name,
        "parameters": _parameters(op, needs.calls.get(op.name, [])),
        "doc": "\n    ".join(facts).replace("\n    \n", "\n\n"),
    }
    return _fill(TEMPLATES / "package" / "kernels" / "kernel.py.tmpl", values).rstrip() + "\n"


def _parameters(op: Op, calls: list[Call]) -> str:
    """The kernel's parameters after ``out``, as the samples of all ops were seen to pass them."""
    if not calls:
        return "*inputs: Any, **attributes: Any"
    names = [op.schema.arguments[i].name for i in op.schema.tensor_positions]
    names = ["input" if n == "self" else n for n in names]
    counts = {c.inputs for c in calls}
    inputs = [f"{n}: Any" for n in names] if counts == {len(names)} else ["*inputs: Any"]
    attributes = sorted({a for c in calls for a in c.attributes})
    marker = ["*"] if attributes and inputs != ["*inputs: Any"] else []
    always = set.intersection(*(set(c.attributes) for c in calls))
    keywords = [f"{a}: Any" if a in always else f"{a}: Any = None" for a in attributes]
    return ", ".join([*inputs, *marker, *keywords])
