"""The LKJ distribution of correlation matrices, as Cholesky factors."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.beta import Beta
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import broadcast_all, standard_normal
from flambeau.layout import Size
from flambeau.tensor import Tensor

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of correlation matrices of density ``det(M) ** (concentration - 1)``.

    Samples are drawn row by row by the onion method (Lewandowski, Kurowicka and Joe, 2009, section
    3.2): the part of a row before the diagonal has a beta-distributed squared length and a uniform
    direction.

    Args:
        dim: the matrices' size, 2 or more.
        concentration: 1 makes all correlation matrices equally likely; more favours small
            correlations.

    Raises:
        ValueError: ``dim`` is below 2.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                "Expected dim to be an integer greater than or equal to 2. "
                f"Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        row = fb.arange(dim, dtype=self.concentration.dtype, device=self.concentration.device)
        before = (row - 1).clamp(min=0)
        last = self.concentration + 0.5 * (dim - 2)
        self._beta = Beta(before + 0.5, last.unsqueeze(-1) - 0.5 * before)
        super().__init__(self.concentration.size(), (dim, dim), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameter expanded."""
        new = self._expanded(LKJCholesky, ("concentration",), batch_shape, _instance)
        new.dim = self.dim
        new._beta = self._beta.expand(Size((*batch_shape, self.dim)))
        return new

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Lower-triangular factors with rows of length 1."""
        with fb.no_grad():
            square = self._beta.sample(sample_shape).unsqueeze(-1)
            towards = standard_normal(self._extended_shape(sample_shape), square).tril(-1)
            length = towards.norm(dim=-1, keepdim=True)
            before = square.sqrt() * fb.where(length > 0, towards / length, 0.0)
            left = 1 - before.pow(2).sum(-1)
            return before + left.clamp(min=fb.finfo(left.dtype).tiny).sqrt().diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density over the factors' entries below the diagonal.

        The normaliser is that of page 1999 of Lewandowski, Kurowicka and Joe (2009).
        """
        if self._validate_args:
            self._validate_sample(value)
        diagonal = value.diagonal(dim1=-2, dim2=-1)[..., 1:]
        after = fb.arange(self.dim - 2, -1, -1, dtype=diagonal.dtype, device=diagonal.device)
        powers = 2 * (self.concentration - 1).unsqueeze(-1) + after
        return (powers * diagonal.log()).sum(-1) - self._log_normalizer()

    def _log_normalizer(self) -> Tensor:
        free = self.dim - 1
        alpha = self.concentration + 0.5 * free
        constant = 0.5 * free * math.log(math.pi)
        return constant + fb.mvlgamma(alpha - 0.5, free) - alpha.lgamma() * free
