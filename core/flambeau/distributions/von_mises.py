"""Von Mises' distribution of angles."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb
from flambeau.distributions import constraints
from flambeau.distributions.distribution import Distribution
from flambeau.distributions.utils import broadcast_all, lazy_property
from flambeau.tensor import Tensor

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles in [-pi, pi) of a density in proportion to ``exp(concentration cos(x - loc))``.

    Args:
        loc: the mean angle.
        concentration: how close to it.
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution with its parameters expanded."""
        return self._expanded(VonMises, ("loc", "concentration"), batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        """``loc``: the mean direction."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """``loc``."""
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        """The circular variance: 1 less the length of the mean of the unit vectors."""
        first, zeroth = fb.special.i1e(self.concentration), fb.special.i0e(self.concentration)
        return 1 - first / zeroth

    @fb.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Angles, by rejection (Best and Fisher, 1979), in float64 on the host.

        Each round draws for all angles, of which those that are done change no more.
        """
        shape = self._extended_shape(sample_shape)
        if self.loc.device.type == "meta":
            return fb.empty(shape, dtype=self.loc.dtype, device="meta")
        loc, concentration = (p.to("cpu").double() for p in (self.loc, self.concentration))
        width = _proposal_width(concentration)
        angle = fb.zeros(shape, dtype=fb.float64)
        is_done = fb.zeros(shape, dtype=fb.bool)
        while not is_done.all().item():
            first, second, third = fb.rand((3, *shape), dtype=fb.float64).unbind()
            turn = fb.cos(math.pi * first)
            cosine = (1 + width * turn) / (width + turn)
            c = concentration * (width - cosine)
            is_accepted = (c * (2 - c) - second > 0) | ((c / second).log() + 1 - c >= 0)
            found = (third - 0.5).sign() * cosine.acos()
            angle = fb.where(is_accepted, found, angle)
            is_done = is_done | is_accepted
        angle = (angle + math.pi + loc) % (2 * math.pi) - math.pi
        return angle.to(self.loc.dtype).to(self.loc.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        if self._validate_args:
            self._validate_sample(value)
        log_bessel = fb.log(fb.special.i0e(self.concentration)) + self.concentration
        return (
            self.concentration * fb.cos(value - self.loc) - math.log(2 * math.pi) - log_bessel)


def _proposal_width(concentration: Tensor) -> Tensor:
    """The parameter of the wrapped Cauchy distribution from which angles are proposed."""
    tau = 1 + (1 + 4 * concentration**2).sqrt()
    rho = (tau - (2 * tau).sqrt()) / (2 * concentration)
    width = (1 + rho**2) / (2 * rho)
    return fb.where(concentration < 1e-5, 1 / concentration + concentration, width)
