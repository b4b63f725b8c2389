"""What a person reads, and the files that a run writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from flambeau import dtypes
from flambeau_conformance import VERSION
from flambeau_conformance.report import cases_by_status, conforms_at, matrix, report, summary
from flambeau_conformance.report import next_kernels as next_kernels_of
from flambeau_conformance.session import Session

SIGNS: Final = {
    "passed": "✓", "failed": "✗", "expected": "e", "skipped": "s", "note": "✓", "": "·",
}
SHORT: Final = {
    "bool": "bool", "uint8": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64",
    "complex64": "c64", "complex128": "c128",
}
FAILURES_SHOWN: Final = 12


# ---- terminal ----------------------------------------------------------------------------------
def terminal(run: Session, show_all: bool = False) -> Iterator[str]:
    """The lines shown at the end of a run."""
    yield from _matrix(run, show_all)
    yield from _failures(run)
    yield from _notes(run)
    yield from _levels(run)
    for step in next_kernels_of(run):
        yield f"next: write the kernel {step['kernel']!r}, which unlocks {step['unlocks']} ops"
    yield verdict(run)


def _matrix(run: Session, show_all: bool) -> Iterator[str]:
    cells = matrix(run)
    columns = [d.name for d in dtypes.ALL if any(d.name in row for row in cells.values())]
    bad = {op: row for op, row in cells.items() if show_all or not _is_well(row)}
    if columns and bad:
        width = max(map(len, bad))
        yield f"{'forward, gradient':{width}} " + " ".join(f"{SHORT[c]:>4}" for c in columns)
        for op, row in bad.items():
            marks = " ".join(f"{_mark(row.get(c, {})):>4}" for c in columns)
            yield f"{op:{width}} {marks}"
    if columns and len(cells) > len(bad):
        names = ", ".join(SHORT[c] for c in columns)
        yield f"{len(cells) - len(bad)} ops pass at every dtype ({names})"


def _is_well(row: dict[str, dict[str, str]]) -> bool:
    return all(s in ("passed", "note") for cell in row.values() for s in cell.values())


def _mark(cell: dict[str, str]) -> str:
    return SIGNS[cell.get("forward", "")] + SIGNS[cell.get("gradient", "")] if cell else ""


def _failures(run: Session) -> Iterator[str]:
    failures = [f for f in run.failures if not f.missing]
    missing = sorted({f.missing for f in run.failures if f.missing})
    if missing:
        yield f"{len(missing)} kernels are missing: {', '.join(missing)}"
    shown: dict[str, int] = {}
    for failure in failures:
        group = "/".join(failure.id.split("/")[:2])
        shown[group] = shown.get(group, 0) + 1
        if shown[group] == 1 and len(shown) <= FAILURES_SHOWN:
            yield ""
            yield f"FAILED {failure.id}"
            yield from (f"  {line}" for line in failure.detail.splitlines())
    if failures:
        yield ""
        yield f"{len(failures)} checks failed; one of each op is shown, --report FILE has all"


def _notes(run: Session) -> Iterator[str]:
    for result in run.all_results:
        if result.status == "note" and not result.id.endswith("/declined"):
            yield f"note {result.id}: {result.detail}"


def _levels(run: Session) -> Iterator[str]:
    for level, counts in summary(run).items():
        words = ", ".join(f"{n} {status}" for status, n in counts.items())
        if words:
            yield f"{level}: {words}"


def verdict(run: Session) -> str:
    """The last line."""
    level, place = conforms_at(run), run.config.place
    cases = cases_by_status(run)
    counts = ", ".join(f"{cases[s]} {s}" for s in ("passed", "failed", "expected", "skipped")
                       if cases[s])
    words = f"{place}: {sum(cases.values())} cases ({counts}); seed {run.config.seed}"
    if not run.is_complete:
        return f"{words}; a part of the suite was chosen"
    if level == run.config.level:
        return f"{words}; conforms at level {level}"
    return f"{words}; does not conform at level {level + 1}"


# ---- files -------------------------------------------------------------------------------------
def write_files(run: Session, option: Any) -> None:
    """Write the report, the page and the badge that were asked for; print the report as JSON."""
    import sys

    found = report(run)
    if option.report:
        _write(option.report, json.dumps(found, indent=1) + "\n")
    if option.markdown:
        _write(option.markdown, markdown(found))
    if option.badge:
        _write(option.badge, json.dumps(badge(found)) + "\n")
    if getattr(option, "json", False):
        print(json.dumps(found), file=sys.__stdout__)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def badge(found: dict[str, Any]) -> dict[str, Any]:
    """A shields.io endpoint badge of a report."""
    cells = [s for row in found["matrix"].values() for cell in row.values() for s in cell.values()]
    good = sum(s in ("passed", "note") for s in cells)
    level = found["conforms_at_level"]
    whole = level == found["level"]
    return {
        "schemaVersion": 1, "label": f"flambeau {found['backend']['device']}",
        "message": f"{f'L{level}' if level >= 0 else 'none'} · {good}/{len(cells)}",
        "color": "brightgreen" if whole else ("orange" if level >= 0 else "red"),
    }


def markdown(found: dict[str, Any]) -> str:
    """A page of a report: facts, levels, the whole matrix, what failed."""
    backend = found["backend"]
    lines = [
        f"# Conformance of `{backend['device']}`", "",
        f"{backend['info'].get('name', '')}; {backend['distribution'] or 'no distribution'} "
        f"{backend['version']}; flambeau {found['flambeau']}, suite {VERSION}, plugin API "
        f"{'.'.join(map(str, found['plugin_api']))}, seed {found['seed']}.", "",
        f"Conforms at level **{found['conforms_at_level']}** of {found['level']}.", "",
        "| level | " + " | ".join(_STATUSES) + " |", "|---|" + "---|" * len(_STATUSES),
    ]  # fmt: skip
    for level, counts in found["summary"].items():
        lines.append(f"| {level} | " + " | ".join(str(counts.get(s, 0)) for s in _STATUSES) + " |")
    lines += ["", *_markdown_matrix(found["matrix"])]
    bad = {i: r for i, r in found["results"].items() if r["status"] == "failed"}
    lines += ["", "## Failures", ""] if bad else []
    for name, result in bad.items():
        lines += [f"- `{name}`", "", *(f"      {x}" for x in result["detail"].splitlines()), ""]
    return "\n".join(lines) + "\n"


_STATUSES: Final = ("passed", "failed", "expected", "skipped", "note")


def _markdown_matrix(cells: dict[str, dict[str, dict[str, str]]]) -> list[str]:
    columns = [d.name for d in dtypes.ALL if any(d.name in row for row in cells.values())]
    lines = [
        "Each cell: forward, gradient. ✓ passed, ✗ failed, e expected, s skipped, · not asked.", "",
        "| op | " + " | ".join(SHORT[c] for c in columns) + " |", "|---|" + "---|" * len(columns),
    ]
    for op, row in sorted(cells.items()):
        marks = (_mark(row.get(c, {})) for c in columns)
        lines.append(f"| `{op}` | " + " | ".join(marks) + " |")
    return lines
