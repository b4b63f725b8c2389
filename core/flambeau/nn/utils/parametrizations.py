"""Parametrizations that training uses: norms of weights."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.autograd.grad_mode import no_grad
from flambeau.nn.modules.module import Module
from flambeau.nn.utils import parametrize
from flambeau.nn.utils._norms import as_matrix, norm_except_dim, power_iteration, weight_normed
from flambeau.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """Maps a matrix, or each of a batch, to an orthogonal one: to columns or rows of it.

    With a ``base``, an orthogonal matrix too, the result is their product.
    """

    base: Any

    def __init__(self, weight: Tensor, map: str, use_trivialization: bool) -> None:
        super().__init__()
        if weight.dtype.is_complex and map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.map = weight.shape, map
        self.trivializes = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Any) -> Any:
        """The orthogonal matrix."""
        is_wide = x.shape[-2] < x.shape[-1]
        x = x.mT if is_wide else x
        q = self._by_reflections(x) if self.map == "householder" else self._by_skew(x)
        if self.trivializes:
            q = self.base @ q
        return q.mT if is_wide else q

    def _by_skew(self, x: Any) -> Any:
        """From a skew-Hermitian matrix: its exponential, or its Cayley transform."""
        rows, columns = x.shape[-2:]
        x = x.tril()
        if rows != columns:
            rest = x.new_zeros((*x.shape[:-2], rows, rows - columns))
            x = fb.cat([x, rest], -1)
        skew = x - x.mH
        if self.map == "matrix_exp":
            q: Any = fb.matrix_exp(skew)
        else:
            identity = fb.eye(rows, dtype=skew.dtype, device=skew.device)
            q = fb.linalg.solve(identity - skew * 0.5, identity + skew * 0.5)
        return q[..., :columns]

    @staticmethod
    def _by_reflections(x: Any) -> Any:
        """From the vectors of Householder reflections below the diagonal, its signs on it."""
        vectors = x.tril(-1)
        factors = 2.0 / (1.0 + (vectors * vectors).sum(-2))
        signs = x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        return fb.linalg.householder_product(vectors, factors) * signs

    @no_grad()
    def right_inverse(self, q: Any) -> Any:
        """What maps to an orthogonal matrix, or to what is near to another one.

        Raises:
            ValueError: for another shape.
            NotImplementedError: for maps that have no such matrix without a base.
        """
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {q.shape}.")
        is_wide = q.shape[-2] < q.shape[-1]
        tall = q.mT if is_wide else q
        if self.trivializes:
            self.base = _completed(tall)
            start = fb.zeros_like(q)
            start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return start
        if self.map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley "
                "parametrizations when use_trivialization=False.")
        vectors, _ = fb.geqrf(tall)
        diagonal = vectors.diagonal(dim1=-2, dim2=-1)
        diagonal.copy_(fb.where(diagonal < 0, -1.0, 1.0))
        if q.shape[-2] == q.shape[-1]:  # the last reflection is none, and would be one here
            diagonal[..., -1].neg_()
        return vectors.mT if is_wide else vectors


def _completed(q: Any) -> Any:
    """A square orthogonal matrix whose first columns are those of a matrix, made orthogonal."""
    rows, columns = q.shape[-2:]
    if rows != columns:
        drawn = fb.randn(
            (*q.shape[:-2], rows, rows - columns), dtype=q.dtype, device=q.device)
        q = fb.cat([q, drawn], -1)
    elif _is_orthogonal(q):
        return q.clone()
    vectors, factors = fb.geqrf(q)
    signs = vectors.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)
    return fb.linalg.householder_product(vectors, factors) * signs


def _is_orthogonal(q: Any) -> bool:
    columns = q.shape[-1]
    identity = fb.eye(columns, dtype=q.dtype, device=q.device)
    eps = 10 * columns * fb.finfo(q.dtype).eps
    return bool(((q.mH @ q - identity).abs() <= eps).all())


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a matrix, or a batch of them, orthogonal or unitary (https://arxiv.org/abs/1901.08428).

    A matrix that is not square has orthonormal columns, or rows.

    Args:
        orthogonal_map: "matrix_exp", "cayley" or "householder"; by default the first for square
            and complex matrices, the last for others.
        use_trivialization: multiply by a constant orthogonal matrix, found when a weight is
            assigned, so that any may be (https://arxiv.org/abs/1909.09501).

    Raises:
        ValueError: if there is no such weight, it has less than two dimensions, or the map is
            unknown or not for complex numbers.
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        is_square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if is_square or weight.dtype.is_complex else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: '
            f"{orthogonal_map}")
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization)
    parametrize.register_parametrization(module, name, parametrization, unsafe=True)
    return module


class _WeightNorm(Module):
    """``g * v / |v|``, the norms over all dimensions but one."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """The weight."""
        weight: Tensor = weight_normed(weight_v, weight_g, self.dim)
        return weight

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Norms and directions of a weight."""
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn norms and directions of a weight apart (https://arxiv.org/abs/1602.07868).

    Args:
        dim: the dimension that keeps norms of its own; None for one norm of all.
    """
    parametrization = _WeightNorm(dim)
    parametrize.register_parametrization(module, name, parametrization, unsafe=True)

    def from_old_names(
        state_dict: Any, prefix: str, local_metadata: Any, strict: bool, missing_keys: Any,
        unexpected_keys: Any, error_msgs: Any,
    ) -> None:
        g, v = f"{prefix}{name}_g", f"{prefix}{name}_v"
        if g in state_dict and v in state_dict:
            start = f"{prefix}parametrizations.{name}.original"
            state_dict[f"{start}0"], state_dict[f"{start}1"] = (
                state_dict.pop(g), state_dict.pop(v))

    module._register_load_state_dict_pre_hook(from_old_names)
    return module


class _SpectralNorm(Module):
    """A weight divided by its largest singular value, which power iteration follows."""

    _u: Any
    _v: Any

    def __init__(
        self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.ndim}, "
                f"{weight.ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}")
        self.dim, self.eps = dim % weight.ndim, eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            rows, columns = matrix.shape
            u = matrix.new_empty(rows).normal_(0, 1)
            v = matrix.new_empty(columns).normal_(0, 1)
            self.register_buffer("_u", _unit(u, eps))
            self.register_buffer("_v", _unit(v, eps))
            self._iterate(matrix, 15)  # so that the first forward has a good estimate

    def _iterate(self, matrix: Tensor, n: int) -> None:
        u, v = power_iteration(matrix, self._u, self._v, n, self.eps)
        self._u.copy_(u)
        self._v.copy_(v)

    def forward(self, weight: Any) -> Any:
        """The weight, its largest singular value 1."""
        if weight.ndim == 1:
            return _unit(weight, self.eps)
        matrix: Any = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the next call changes them in place
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself: it is taken to be normalised."""
        return value


def _unit(vector: Any, eps: float) -> Any:
    from flambeau.nn import functional as F

    return F.normalize(vector, dim=0, eps=eps)


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value (https://arxiv.org/abs/1802.05957).

    Args:
        n_power_iterations: per forward call in training.
        eps: least norm.
        dim: of the outputs; 1 for transposed convolutions, else 0.

    Raises:
        ValueError: if there is no such weight.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    parametrization = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return parametrize.register_parametrization(module, name, parametrization)
