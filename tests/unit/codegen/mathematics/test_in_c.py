"""The definitions compiled from C give the interpreter's bits, vectorised or not."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flambeau.codegen.block import Block
from flambeau.codegen.dialects.c import C
from flambeau.codegen.mathematics import PARAMETERS, Precision
from flambeau.codegen.mathematics.evaluation import evaluate_definition
from flambeau.codegen.scalar import Scalars

COMPILER = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
WORDS: dict[Precision, tuple[str, str, type, type]] = {
    "f32": ("float", "i32", np.float32, np.int32),
    "f64": ("double", "i64", np.float64, np.int64),
}
Map = Callable[[str, np.ndarray, np.ndarray], np.ndarray]


def source(precision: Precision) -> str:
    word, integer, _, _ = WORDS[precision]
    block = Block(C())
    for name in PARAMETERS:
        Scalars(block, precision, integer, {}).defined(name)  # type: ignore[arg-type]
    text = "\n".join(block.functions.values())
    for name, parameters in PARAMETERS.items():
        arguments = ", ".join(f"{array}[i]" for array in ("x", "y")[: len(parameters)])
        text += f"""
void map_{name}(const {word} *restrict x, const {word} *restrict y, {word} *restrict out, long n)
{{ for (long i = 0; i < n; i++) out[i] = fb_{name}_{precision}({arguments}); }}
"""
    helpers = [body for helper, body in C.helpers.items() if f"{helper}(" in text]
    return "\n".join(["#include <math.h>", *helpers, text])


@pytest.fixture(scope="module", params=["f32", "f64"])
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    precision: Precision = request.param
    folder: Path = tmp_path_factory.mktemp("mathematics")
    path, library = folder / "all.c", folder / "all.so"
    path.write_text(source(precision), encoding="utf-8")
    assert COMPILER is not None
    subprocess.run([COMPILER, *C.flags, "-o", library, path, "-lm"], check=True)
    loaded = ctypes.CDLL(str(library))

    def run(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (x, y, out))
        getattr(loaded, f"map_{name}")(*pointers, ctypes.c_long(x.size))
        return out

    return precision, run


def points(precision: Precision) -> np.ndarray:
    _, _, dtype, integer = WORDS[precision]
    generator = np.random.default_rng(0)
    limits = np.iinfo(integer)
    bits = generator.integers(limits.min, limits.max, 3000, integer).view(dtype)
    edges = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -2.0, 3.0]
    values = [bits, *(generator.normal(size=1000) * size for size in (0.1, 1, 10, 100)), edges]
    return np.concatenate([np.asarray(v, dtype) for v in values])


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_same_bits(compiled: tuple[Precision, Map], name: str) -> None:
    precision, run = compiled
    with np.errstate(invalid="ignore"):
        x = points(precision)
    y = np.random.default_rng(1).permutation(x)
    found = run(name, x, y)
    expected = evaluate_definition(name, precision, *(x, y)[: len(PARAMETERS[name])])
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    integer = WORDS[precision][3]
    same = (found.view(integer) == expected.view(integer)) | np.isnan(found)
    assert same.all(), (x[~same][:3], found[~same][:3], expected[~same][:3])
