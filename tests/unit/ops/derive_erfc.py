"""Where the coefficients of ``flambeau.ops.special`` come from: run this file to print them."""

from __future__ import annotations

import mpmath as mp

mp.mp.dps = 60
CENTRE = mp.mpf("3.75")
LOW, HIGH, DEGREE = mp.mpf("0.5"), mp.mpf(28), 20


def scaled_erfc(t: mp.mpf) -> mp.mpf:
    """exp(x^2) erfc(x) (1 + 2x) where t = (x - 3.75) / (x + 3.75)."""
    x = CENTRE * (1 + t) / (1 - t)
    return mp.exp(x * x) * mp.erfc(x) * (1 + 2 * x)


def coefficients() -> list[float]:
    """The polynomial through the function's values at Chebyshev nodes, constant first."""
    a, b = ((x - CENTRE) / (x + CENTRE) for x in (LOW, HIGH))
    n = DEGREE + 1
    nodes = [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    rows = mp.matrix([[t**j for j in range(n)] for t in nodes])
    solved = mp.lu_solve(rows, mp.matrix([scaled_erfc(t) for t in nodes]))
    return [float(c) for c in solved]


if __name__ == "__main__":
    print(*coefficients(), sep=",\n")
