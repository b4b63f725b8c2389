"""The report: what a run found, as data."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from flambeau.backend import API
from flambeau_conformance import VERSION
from flambeau_conformance.case import Case, Result
from flambeau_conformance.session import Session

FORMAT = 1
"""Version of the report's keys."""
RANK = ("passed", "note", "skipped", "expected", "failed")
"""From best to worst; a cell of the matrix shows the worst of its checks."""


def report(run: Session) -> dict[str, Any]:
    """The report of a run, ready for JSON."""
    backend, config = run.config.backend, run.config
    distribution, version = _distribution(backend.name)
    return {
        "format": FORMAT,
        "suite": VERSION,
        "flambeau": _flambeau_version(),
        "plugin_api": list(API),
        "backend": {
            "device": str(config.place), "distribution": distribution, "version": version,
            "api": list(backend.api), "info": backend.device_info(config.index),
            "capabilities": _claims(config.capabilities),
        },
        "seed": config.seed,
        "deep": config.deep,
        "level": config.level,
        "complete": run.is_complete,
        "conforms_at_level": conforms_at(run),
        "seconds": round(time.perf_counter() - run.started, 3),
        "summary": summary(run),
        "fallbacks": fallbacks(run),
        "declined": declined(run),
        "next_kernels": next_kernels(run),
        "matrix": matrix(run),
        "results": {r.id: _result(r) for r in run.all_results},
    }


def _flambeau_version() -> str:
    import flambeau

    return flambeau.__version__


def _distribution(device_type: str) -> tuple[str, str]:
    from flambeau.plugins import installed

    for record in installed():
        if record.name == device_type:
            return record.distribution, record.version
    return "", ""


def _claims(capabilities: Any) -> dict[str, Any]:
    names = [n for n in type(capabilities).__slots__ if n != "dtypes"]
    held = sorted(capabilities.dtypes, key=lambda d: d.index)
    return {"dtypes": [d.name for d in held]} | {n: getattr(capabilities, n) for n in names}


def _result(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {"status": result.status, "seconds": round(result.seconds, 5)}
    return found | ({"detail": result.detail} if result.detail else {})


def summary(run: Session) -> dict[str, dict[str, int]]:
    """Numbers of checks by level and status."""
    counts: dict[str, Counter[str]] = {f"L{n}": Counter() for n in range(run.config.level + 1)}
    for result in run.all_results:
        counts.setdefault(result.id.partition("/")[0], Counter())[result.status] += 1
    return {level: dict(sorted(found.items())) for level, found in counts.items()}


def conforms_at(run: Session) -> int:
    """The highest level that passes with all below it; -1 if not even level 0 does."""
    failed = {int(r.id[1]) for r in run.failures if r.id[:1] == "L"}
    return min(failed, default=run.config.level + 1) - 1


def fallbacks(run: Session) -> int:
    """How often a kernel was lacking and the CPU stood in, where the policy admits that."""
    from flambeau import fallback

    name = run.config.backend.name
    return sum(n for (_, device), n in fallback.counts().items() if device == name)


def declined(run: Session) -> int:
    """How often a fused kernel declined and the decomposition ran instead."""
    return sum(
        r.status == "note" and r.id.endswith("/declined") for r in run.all_results
    )


def matrix(run: Session) -> dict[str, dict[str, dict[str, str]]]:
    """The worst status by op, dtype and direction."""
    cells: dict[str, dict[str, dict[str, str]]] = {}
    for case in run.cases:
        if case.direction and (results := run.results[case.id]):
            cell = cells.setdefault(case.op, {}).setdefault(case.dtype, {})
            statuses = [r.status for r in results] + [cell.get(case.direction, "passed")]
            cell[case.direction] = max(statuses, key=RANK.index)
    return cells


def cases_by_status(run: Session) -> Counter[str]:
    """Numbers of cases by their worst status."""
    def worst(case: Case) -> str:
        return max((r.status for r in run.results[case.id]), key=RANK.index, default="passed")

    return Counter(worst(case) for case in run.cases)


def next_kernels(run: Session, count: int = 5) -> list[dict[str, Any]]:
    """The kernels to write next, each with the number of ops that begin to work with it."""
    missing = {r.missing for r in run.all_results if r.missing}
    if not missing:
        return []
    from flambeau.cli.needs import needs_of_all_ops, order

    needs = needs_of_all_ops()
    needs.kernels = {op: kernels & missing for op, kernels in needs.kernels.items()}
    steps = [step for step in order(needs) if step.kernel in missing]
    return [{"kernel": s.kernel, "unlocks": s.unlocks} for s in steps[:count]]
