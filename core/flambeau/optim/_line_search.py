"""Line search for the strong Wolfe conditions (Nocedal and Wright, algorithms 3.5 and 3.6)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["strong_wolfe"]


class Point(NamedTuple):
    """A place on the line: distance, loss, gradient, slope along the line."""

    t: float
    loss: float
    grad: Any
    slope: float


def minimum_of_cubic(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is least, within bounds."""
    x1, f1, g1 = a.t, a.loss, a.slope
    x2, f2, g2 = b.t, b.loss, b.slope
    d1 = g1 + g2 - 3 * _ratio(f1 - f2, x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    if x1 <= x2:
        t = x2 - (x2 - x1) * _ratio(g2 + d2 - d1, g2 - g1 + 2 * d2)
    else:
        t = x1 - (x1 - x2) * _ratio(g1 + d2 - d1, g1 - g2 + 2 * d2)
    return min(max(t, low), high)


def _ratio(a: float, b: float) -> float:
    """A quotient as tensors have it: infinite, or NaN, by zero."""
    if b:
        return a / b
    return math.copysign(math.inf, a) * math.copysign(1.0, b) if a else math.nan


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, Any]], t: float, direction: Any, loss: float,
    grad: Any, slope: float, c1: float = 1e-4, c2: float = 0.9, tolerance_change: float = 1e-9,
    max_ls: int = 25,
) -> tuple[float, Any, float, int]:
    """A distance at which the loss has fallen and the slope has flattened enough.

    Args:
        evaluate: loss and gradient at a distance.
        t: the first distance to try.
        loss, grad, slope: at distance 0.
        c1: part of the predicted fall that is enough.
        c2: part of the slope that may be left.
        max_ls: how many distances may be tried.

    Returns:
        loss, gradient, distance, and the number of evaluations.
    """
    search = _Search(evaluate, direction, Point(0.0, loss, grad.clone(), slope), c1, c2)
    reach = float(direction.abs().max())
    bracket, iterations, done = search.bracket(t, max_ls)
    best = search.zoom(bracket, iterations, max_ls, reach, tolerance_change, done)
    return best.loss, best.grad, best.t, search.evaluations


class _Search:
    def __init__(
        self, evaluate: Callable[[float], tuple[float, Any]], direction: Any, start: Point,
        c1: float, c2: float,
    ) -> None:
        self._evaluate, self._direction, self.start = evaluate, direction, start
        self.c1, self.c2 = c1, c2
        self.evaluations = 0

    def at(self, t: float) -> Point:
        loss, grad = self._evaluate(t)
        self.evaluations += 1
        return Point(t, loss, grad.clone(), float(grad.dot(self._direction)))

    def too_high(self, p: Point) -> bool:
        return p.loss > self.start.loss + self.c1 * p.t * self.start.slope

    def flat_enough(self, p: Point) -> bool:
        return abs(p.slope) <= -self.c2 * self.start.slope

    def bracket(self, t: float, max_ls: int) -> tuple[list[Point], int, bool]:
        """Points between which a good one lies, or the good one itself."""
        before, here, iterations = self.start, self.at(t), 0
        while iterations < max_ls:
            if self.too_high(here) or (iterations > 1 and here.loss >= before.loss):
                return [before, here], iterations, False
            if self.flat_enough(here):
                return [here], iterations, True
            if here.slope >= 0:
                return [before, here], iterations, False
            low, high = here.t + 0.01 * (here.t - before.t), here.t * 10
            before, here = here, self.at(minimum_of_cubic(before, here, low, high))
            iterations += 1
        return [self.start, here], iterations, False

    def zoom(
        self, bracket: list[Point], iterations: int, max_ls: int, reach: float,
        tolerance: float, done: bool,
    ) -> Point:
        """Narrow a bracket down; the best point of it."""
        if len(bracket) == 1:
            return bracket[0]
        slow = False
        low, high = (0, 1) if bracket[0].loss <= bracket[-1].loss else (1, 0)
        while not done and iterations < max_ls:
            if abs(bracket[1].t - bracket[0].t) * reach < tolerance:
                break
            ends = sorted(p.t for p in bracket)
            t = minimum_of_cubic(bracket[0], bracket[1], *ends)
            t, slow = _away_from_ends(t, ends, slow)
            new = self.at(t)
            iterations += 1
            if self.too_high(new) or new.loss >= bracket[low].loss:
                bracket[high] = new
                low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
                continue
            if self.flat_enough(new):
                done = True
            elif new.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
        return bracket[low]


def _away_from_ends(t: float, ends: list[float], slow: bool) -> tuple[float, bool]:
    """A tenth of the bracket from its nearer end, if the search would otherwise creep along it."""
    low, high = ends
    margin = 0.1 * (high - low)
    if min(high - t, t - low) >= margin:
        return t, False
    if slow or t >= high or t <= low:
        return (high - margin if abs(t - high) < abs(t - low) else low + margin), False
    return t, True
