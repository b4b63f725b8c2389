"""All benchmarks in one run: the tables and the picture of ``docs/benchmarks.md``.

    make bench
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from datetime import date
from pathlib import Path
from typing import Any

import overhead
import side_by_side
import throughput
import training
import with_jax

DOCS = Path(__file__).parent.parent / "docs"
PARTS = (
    ("Whole steps", "training", "One training step (forward, loss, backward, optimizer), or one "
     "inference, of small and middle-sized models in single precision."),
    ("Large operations", "throughput", "One operation, with its gradient where the name says so."),
    ("Small operations", "overhead", "What a call costs besides its arithmetic."),
)


def measure() -> dict[str, dict[str, Any]]:
    """The figures of every case by part, JAX's beside them where it is installed."""
    figures = {
        "training": training.run_training(list(training.CASES), None),
        "throughput": side_by_side.run(throughput.CASES, "large operations"),
        "overhead": side_by_side.run(overhead.CASES, "small operations"),
    }
    for name, make in with_jax.cases().items():
        for part in figures.values():
            if name in part:
                part[name]["jax_us"] = _jax_time(make())
    return figures


def _jax_time(step: Any) -> float:
    side_by_side.once(step, 3)
    return 1e6 * statistics.median(side_by_side.once(step, 3) for _ in range(7))


def machine() -> list[str]:
    """The processor, and the versions of what was measured."""
    import numpy as np
    import torch

    import flambeau
    from flambeau_cpu.native.compiler import find

    compiler = find()
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines()
                 if line.startswith("model name")]
        cpu = names[0] if names else cpu
    set_by_user = {k: v for k, v in os.environ.items() if k in (
        "OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "FLAMBEAU_CPU_NATIVE",
        "FLAMBEAU_COMPILED")}
    return [
        f"{date.today().isoformat()}, {cpu}, {torch.get_num_threads()} threads, "
        f"{platform.system()}, Python {platform.python_version()}",
        f"flambeau {flambeau.__version__}, torch {torch.__version__}, NumPy {np.__version__}"
        + _jax_version(),
        f"kernels in C by {compiler.version}" if compiler is not None else "no C compiler",
        *(f"{k}={v}" for k, v in set_by_user.items()),
    ]


def _jax_version() -> str:
    try:
        import jax
    except ImportError:
        return ""
    return f", JAX {jax.__version__}"


def markdown(figures: dict[str, dict[str, Any]], facts: list[str]) -> str:
    """The page."""
    lines = [
        "# Benchmarks", "",
        "Side by side with PyTorch (eager) in one run: rounds alternate between the two, medians",
        "are shown, and the ratio is that of the rounds.  **Below 1, flambeau is faster.**  Times",
        "belong to the machine; ratios travel better, and still depend on it.  Rounds are short,",
        "and the threads of the library that has just run still wait for work while the other",
        "begins: cases of well under a millisecond suffer most.  `make bench` runs everything",
        "again and writes this page.", "",
        *(f"- {line}" for line in facts), "",
        "![ratios of all cases](images/benchmarks.png)", ""]
    for title, part, words in PARTS:
        cases = figures[part]
        ratios = [c["ratio"] for c in cases.values()]
        lines += [
            f"## {title}", "", f"{words}  Of {len(cases)} cases {sum(r <= 1 for r in ratios)} are "
            f"at most as slow as PyTorch; the median ratio is {statistics.median(ratios):.2f}.", "",
            *_table(cases), ""]
    return "\n".join(lines)


def _table(cases: dict[str, Any]) -> list[str]:
    has_jax = any("jax_us" in c for c in cases.values())
    has_memory = any("peak_MiB" in c for c in cases.values())
    head = ["case", "torch", "flambeau", "ratio"] + ["JAX"] * has_jax + (
        ["peak memory", "ratio", "first step"] * has_memory)
    rows = []
    for name, c in cases.items():
        row = [name.replace("_", " "), _time(c["torch_us"]), _time(c["flambeau_us"]),
               f"{c['ratio']:.2f}"]
        if has_jax:
            row.append(_time(c["jax_us"]) if "jax_us" in c else "")
        if has_memory:
            row += [f"{c['peak_MiB']:.0f} MiB", f"{c['peak_MiB'] / c['torch_peak_MiB']:.2f}",
                    f"{c['first_s']:.2f} s"]
        rows.append(row)
    return ["| " + " | ".join(r) + " |" for r in [
        head, ["---", *["---:"] * (len(head) - 1)], *rows]]


def _time(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.2f} us"


def picture(figures: dict[str, dict[str, Any]], path: Path) -> None:
    """One bar for each case, shorter than 1 where flambeau is faster."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(PARTS), figsize=(15, 9), layout="constrained")
    for axis, (title, part, _) in zip(axes, PARTS, strict=True):
        cases = sorted(figures[part].items(), key=lambda item: -item[1]["ratio"])
        ratios = [c["ratio"] for _, c in cases]
        axis.barh([n.replace("_", " ") for n, _ in cases], ratios,
                  color=["#2a9d8f" if r <= 1 else "#e76f51" for r in ratios])
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set(title=title, xlabel="time, in units of PyTorch's", xlim=(0, max(1.1, *ratios)))
        axis.tick_params(axis="y", labelsize=7)
        axis.margins(y=0.01)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--docs", type=Path, default=DOCS, help="the folder to write to")
    folder = parser.parse_args().docs
    facts = machine()
    print("\n".join(facts))
    figures = measure()
    (folder / "images").mkdir(parents=True, exist_ok=True)
    picture(figures, folder / "images" / "benchmarks.png")
    (folder / "benchmarks.md").write_text(markdown(figures, facts))
    print(f"written: {folder / 'benchmarks.md'}")


if __name__ == "__main__":
    main()
