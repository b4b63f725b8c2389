"""Instance normalisation."""

from __future__ import annotations

import warnings
from typing import Any

from flambeau.nn import functional as F
from flambeau.nn.modules.batchnorm import _LazyNormBase, _NormBase
from flambeau.tensor import Tensor

__all__ = [
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]


class _InstanceNorm(_NormBase):
    """Normalises each channel of each sample by its own mean and variance.

    Args as for batch normalisation, but nothing is learned or tracked by default.
    """

    _dims: int

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """With a batch dimension or without."""
        self._check_input_dim(input)
        self._check_channels(input)
        if input.dim() == self._dims + 1:
            return self._apply_instance_norm(input.unsqueeze(0)).squeeze(0)
        return self._apply_instance_norm(input)

    def _apply_instance_norm(self, input: Tensor) -> Tensor:
        by_input = self.training or not self.track_running_stats
        factor = 0.0 if self.momentum is None else self.momentum
        return F.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, by_input, factor,
            self.eps)

    def _check_input_dim(self, input: Tensor) -> None:
        n = self._dims
        if input.dim() not in (n + 1, n + 2):
            raise ValueError(f"expected {n + 1}D or {n + 2}D input (got {input.dim()}D input)")

    def _check_channels(self, input: Tensor) -> None:
        at = input.dim() - self._dims - 1
        if input.size(at) == self.num_features:
            return
        if self.affine:
            raise ValueError(
                f"expected input's size at dim={at} to match num_features ({self.num_features}), "
                f"but got: {input.size(at)}.")
        warnings.warn(
            f"input's size at dim={at} does not match num_features. You can silence this warning "
            "by not passing in num_features, which is not used because affine=False",
            stacklevel=4)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:
        version = local_metadata.get("version")
        if version is None and not self.track_running_stats:
            names = [n for n in ("running_mean", "running_var") if prefix + n in state_dict]
            if names:
                listed = " and ".join(f'"{prefix}{n}"' for n in names)
                own = type(self).__name__
                error_msgs.append(
                    f"Unexpected running stats buffer(s) {listed} for {own} with "
                    "track_running_stats=False. If state_dict is a checkpoint saved before 0.4.0, "
                    f"this may be expected because {own} does not track running stats by default "
                    "since 0.4.0. Please remove these keys from state_dict. If the running stats "
                    f"are actually needed, instead set track_running_stats=True in {own} to enable "
                    f"them. See the documentation of {own} for details.")
                for name in names:
                    state_dict.pop(prefix + name)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)


class _LazyInstanceNorm(_LazyNormBase):
    _dims: int

    def initialize_parameters(self, input: Tensor) -> None:
        """Give parameters and statistics their shapes; the input may have no batch dimension."""
        batched = input if input.dim() == self._dims + 2 else input.unsqueeze(0)
        super().initialize_parameters(batched)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of shape (N, C, L) or (C, L)."""

    _dims = 1


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of shape (N, C, H, W) or (C, H, W)."""

    _dims = 2


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of shape (N, C, D, H, W) or (C, D, H, W)."""

    _dims = 3


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """An ``InstanceNorm1d`` that infers ``num_features``."""

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """An ``InstanceNorm2d`` that infers ``num_features``."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """An ``InstanceNorm3d`` that infers ``num_features``."""

    cls_to_become = InstanceNorm3d
