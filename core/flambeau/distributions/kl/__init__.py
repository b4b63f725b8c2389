"""Kullback-Leibler divergences."""

from __future__ import annotations

from flambeau.distributions.kl import cross, same, vectors  # noqa: F401  registers the pairs
from flambeau.distributions.kl.registry import kl_divergence, register_kl

__all__ = ["kl_divergence", "register_kl"]
