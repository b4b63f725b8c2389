"""Which function computes the divergence of a pair of distributions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from flambeau.distributions.distribution import Distribution
from flambeau.tensor import Tensor

Divergence = Callable[[Any, Any], Tensor]

KL: dict[tuple[type, type], Divergence] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Divergence], Divergence]:
    """Register a function for ``kl_divergence(p, q)`` of two classes; a decorator.

    It serves subclasses, too, unless something nearer is registered for them.

    Raises:
        TypeError: if one is no class; one that is not derived from ``Distribution`` will do.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def put(divergence: Divergence) -> Divergence:
        KL[type_p, type_q] = divergence
        _find.cache_clear()
        return divergence

    return put


@cache
def _find(type_p: type, type_q: type) -> Divergence | None:
    """The function that is registered for the nearest pair of bases.

    Warns:
        RuntimeWarning: if one pair is nearer in ``p`` and another in ``q``; the first is taken.
    """
    bases_p, bases_q = type_p.__mro__, type_q.__mro__
    pairs = [(i, j) for i, p in enumerate(bases_p) for j, q in enumerate(bases_q) if (p, q) in KL]
    if not pairs:
        return None
    i, j = min(pairs)
    m, n = min(pairs, key=lambda pair: (pair[1], pair[0]))
    found = KL[bases_p[i], bases_q[j]]
    if found is not KL[bases_p[m], bases_q[n]]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please "
            f"register_kl({bases_p[i].__name__}, {bases_q[n].__name__})", RuntimeWarning,
            stacklevel=3)
    return found


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The Kullback-Leibler divergence: the mean of ``log p(x) - log q(x)`` over ``x`` from ``p``.

    Returns:
        one number in nats for each pair of distributions, of the batch shape.

    Raises:
        NotImplementedError: if nothing is registered for the two classes.
    """
    kinds: tuple[Any, Any] = type(p), type(q)
    divergence = _find(*kinds)
    if divergence is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type "
            f"{type(q).__name__}")
    return divergence(p, q)
