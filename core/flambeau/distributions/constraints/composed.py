"""Constraints that are made of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.distributions.constraints.base import Constraint, all_of_last
from flambeau.tensor import Tensor


def _as_constraint(value: Any, name: str) -> Constraint:
    if not isinstance(value, Constraint):
        raise AssertionError(f"{name} must be a Constraint, got {type(value).__name__}")
    return value


def _as_constraints(values: Sequence[Constraint]) -> list[Constraint]:
    if not all(isinstance(value, Constraint) for value in values):
        raise AssertionError("All elements of cseq must be Constraint instances")
    return list(values)


class _IndependentConstraint(Constraint):
    """Takes more dimensions into the event: it is valid if all its entries are.

    Args:
        reinterpreted_batch_ndims: how many dimensions to take in.
    """

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        if not isinstance(reinterpreted_batch_ndims, int):
            raise AssertionError(
                "reinterpreted_batch_ndims must be an int, got "
                f"{type(reinterpreted_batch_ndims).__name__}")
        if reinterpreted_batch_ndims < 0:
            raise AssertionError(
                f"reinterpreted_batch_ndims must be >= 0, got {reinterpreted_batch_ndims}")
        self.base_constraint = _as_constraint(base_constraint, "base_constraint")
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> Any:
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> Any:
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Any) -> Any:
        checked = self.base_constraint.check(value)
        if checked.ndim < self.reinterpreted_batch_ndims:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.ndim}")
        return all_of_last(checked, self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """The support of a mixture: a value is valid if it is in every component's support.

    Args:
        base_constraint: the components' support, whose batch ends with their dimension.
    """

    def __init__(self, base_constraint: Constraint) -> None:
        self.base_constraint = _as_constraint(base_constraint, "base_constraint")

    @property
    def is_discrete(self) -> Any:
        """As the components'."""
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> Any:
        """As the components'."""
        return self.base_constraint.event_dim

    def check(self, value: Any) -> Any:
        """Whether each event lies in the region.

        Raises:
            ValueError: if the value has fewer dimensions than an event.
        """
        batch_dims = value.ndim - self.event_dim
        if batch_dims < 0:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.ndim}")
        checked = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return all_of_last(checked, checked.ndim - batch_dims)

    def __repr__(self) -> str:
        return f"MixtureSameFamilyConstraint({self.base_constraint})"


class _Cat(Constraint):
    """Different constraints along stretches of a dimension.

    Args:
        cseq: the constraints.
        dim: the dimension.
        lengths: of the stretches, 1 each by default.
    """

    def __init__(
        self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None
    ) -> None:
        self.cseq = _as_constraints(cseq)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(
                f"lengths ({len(self.lengths)}) must match cseq ({len(self.cseq)})")
        self.dim = dim

    @property
    def is_discrete(self) -> Any:
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self) -> Any:
        return max(c.event_dim for c in self.cseq)

    def check(self, value: Any) -> Any:
        _check_dim(self.dim, value)
        checks, start = [], 0
        for constraint, length in zip(self.cseq, self.lengths, strict=True):
            checks.append(constraint.check(value.narrow(self.dim, start, length)))
            start += length
        return fb.cat(checks, self.dim)


class _Stack(Constraint):
    """A constraint for each entry of a dimension."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0) -> None:
        self.cseq = _as_constraints(cseq)
        self.dim = dim

    @property
    def is_discrete(self) -> Any:
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self) -> Any:
        """The largest of theirs, and one if the stacked dimension lies within the event."""
        largest = max(c.event_dim for c in self.cseq)
        return largest + (self.dim + largest < 0)

    def check(self, value: Any) -> Any:
        _check_dim(self.dim, value)
        parts = value.unbind(self.dim)
        checks = [c.check(part) for part, c in zip(parts, self.cseq, strict=False)]
        return fb.stack(checks, self.dim)


def _check_dim(dim: int, value: Tensor) -> None:
    if not -value.ndim <= dim < value.ndim:
        raise AssertionError(f"dim {dim} out of range for value with {value.ndim} dimensions")
