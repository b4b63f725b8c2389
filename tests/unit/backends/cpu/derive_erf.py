"""Where the coefficients of ``flambeau_cpu.erf`` come from: run this file to print them.

Each is a rational function through the values of a function at Chebyshev nodes (a near-minimax
approximation), solved in 60 digits with mpmath.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60
Function = Callable[[mp.mpf], mp.mpf]


def erf_ratio(square: mp.mpf) -> mp.mpf:
    """erf(x) / x as a function of x squared."""
    x = mp.sqrt(square)
    return mp.erf(x) / x


def scaled_erfc(x: mp.mpf) -> mp.mpf:
    """exp(x^2) erfc(x)."""
    return mp.exp(x * x) * mp.erfc(x)


def rational(
    function: Function, low: float, high: float, top: int, bottom: int
) -> tuple[list[float], list[float]]:
    """Coefficients, constant first, of the numerator and the denominator (which begins with 1)."""
    n = top + bottom + 1
    a, b = mp.mpf(low), mp.mpf(high)
    nodes = [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    values = [function(s) for s in nodes]
    rows = [
        [s**j for j in range(top + 1)] + [-v * s**j for j in range(1, bottom + 1)]
        for s, v in zip(nodes, values, strict=True)
    ]
    solved = mp.lu_solve(mp.matrix(rows), mp.matrix(values))
    found = [float(c) for c in solved]
    return found[: top + 1], [1.0, *found[top + 1 :]]


TABLES = {
    "SINGLE": lambda: rational(erf_ratio, 0.0, 3.95**2, 6, 5),
    "NEAR": lambda: rational(lambda s: erf_ratio(s) - 1, 0.0, 1.0, 6, 5),
    "FAR": lambda: rational(scaled_erfc, 1.0, 6.0, 8, 8),
}

if __name__ == "__main__":
    for name, table in TABLES.items():
        top, bottom = table()
        print(f"{name} = (\n    {tuple(top)},\n    {tuple(bottom)},\n)")
