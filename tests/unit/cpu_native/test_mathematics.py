"""The elementary functions that sources in C include."""

import numpy as np
import pytest

from flambeau.codegen import special
from flambeau_cpu.native.library import Library, failures, included, runtime
from flambeau_cpu.native.mathematics import FUNCTIONS, MORE

pytestmark = pytest.mark.skipif(runtime() is None, reason="there is no C compiler")

TWO = ("pow", "atan2")
ORACLES = {
    "acos": np.arccos, "asin": np.arcsin, "atan": np.arctan, "acosh": np.arccosh,
    "asinh": np.arcsinh, "atanh": np.arctanh, "atan2": np.arctan2, "pow": np.power,
    "rsqrt": lambda x: 1 / np.sqrt(x), "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def text():
    lines = ['#include "flambeau.h"', '#include "mathematics.h"']
    for name in (*FUNCTIONS, *MORE):
        for t in ("f32", "f64"):
            call = f"fb_{name}_{t}(x[i]{', y[i]' if name in TWO else ''})"
            lines.append(
                f"void {name}_{t}(array *o, const array *a, const array *b) {{\n"
                f"  {t} *out = ({t} *)o->data, *x = ({t} *)a->data, *y = ({t} *)b->data;\n"
                f"  for (i64 i = 0; i < o->dims[0]; ++i) out[i] = {call};\n}}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def functions():
    names = {f"{n}_{t}": "aaa" for n in (*FUNCTIONS, *MORE) for t in ("f32", "f64")}
    found = Library("test_mathematics", names, text)()
    assert found is not None, failures
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*FUNCTIONS, *MORE])
def test_a_function_is_that_of_its_name(functions, name, dtype):
    rng = np.random.default_rng(0)
    low, high = {"acosh": (1.01, 20), "lgamma": (3, 20)}.get(name, (-0.99, 0.99))
    x = rng.uniform(low, high, 999)
    if name in ("log", "log2", "rsqrt", "pow"):
        x = abs(x) + 0.01
    x, y = x.astype(dtype), rng.uniform(-3, 3, 999).astype(dtype)
    out = np.empty_like(x)
    getattr(functions, f"{name}_{'f32' if dtype is np.float32 else 'f64'}")(out, x, y)
    if name in ("erf", "erfc", "lgamma"):
        wanted = np.array([getattr(special, name)(float(v)) for v in x])
    else:
        oracle = ORACLES.get(name) or getattr(np, name)
        wanted = oracle(*(v.astype(np.float64) for v in ((x, y) if name in TWO else (x,))))
    ulp = np.spacing(np.abs(wanted).astype(dtype)).astype(np.float64)
    assert np.max(np.abs(out - wanted) / ulp) < 4.5


def test_special_values(functions):
    x = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 200, -200], np.float32)
    out = np.empty_like(x)
    for name, wanted in {
        "exp": [np.nan, np.inf, 0, 1, 1, np.inf, 0],
        "log": [np.nan, np.inf, np.nan, -np.inf, -np.inf, 5.2983174, np.nan],
        "tanh": [np.nan, 1, -1, 0, -0.0, 1, -1],
        "sigmoid": [np.nan, 1, 0, 0.5, 0.5, 1, 0],
    }.items():
        getattr(functions, f"{name}_f32")(out, x, x)
        np.testing.assert_allclose(out, wanted, 1e-7, err_msg=name)


def test_headers_are_found_through_headers():
    assert included('#include "half.h"\n#include "mathematics.h"\n#include <math.h>') == [
        "flambeau.h", "half.h", "mathematics.h"]
