"""Forward-mode differentiation: tensors with tangents."""

from __future__ import annotations

from typing import Any, NamedTuple

from flambeau import modes
from flambeau.autograd.dual import DualLevel
from flambeau.tensor import Tensor

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
    "unpack_dual",
]

_levels: list[DualLevel] = []


class UnpackedDualTensor(NamedTuple):
    """What ``unpack_dual`` returns."""

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level() -> int:
    """Open a level, to be closed by ``exit_dual_level``; returns its number.

    Raises:
        RuntimeError: if one is open: they do not nest; ``func.jvp`` does.
    """
    if _levels:
        raise RuntimeError(
            "Nested forward mode AD is not supported at the moment; use flambeau.func.jvp, which "
            "nests")
    level = DualLevel()
    level.__enter__()
    _levels.append(level)
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level; tangents made in it are gone.

    Raises:
        RuntimeError: if none is open, or another one is named.
    """
    if not _levels or level not in (None, 0):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This "
            "is not supported.")
    _levels.pop().__exit__()


class dual_level:
    """A block in which tensors may have tangents."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()


def _open(name: str, level: int | None) -> DualLevel:
    if not _levels or level not in (None, 0):
        raise RuntimeError(
            f"Trying to {name} a dual Tensor but no level exists: use it within dual_level() or "
            "after enter_dual_level().")
    return _levels[-1]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of a tensor that carries a tangent through ops, within ``dual_level``.

    Raises:
        RuntimeError: outside of ``dual_level``, or if shapes differ.
        ValueError: for a dtype that is neither floating nor complex.
    """
    return dual(_open("create", level), tensor, tangent)


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The tensor without its tangent, and the tangent, None where it has none."""
    if not _levels:
        return UnpackedDualTensor(tensor, None)
    return unpacked(_open("unpack", level), tensor)


def dual(level: DualLevel, tensor: Tensor, tangent: Tensor) -> Tensor:
    """A view of a tensor with a tangent at a level; both may be batched."""
    for what, t in (("primal", tensor), ("tangent", tangent)):
        if not t._kind.is_differentiable:
            raise ValueError(
                f"Expected {what} to be floating point or complex, but got: {t.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the "
            f"original Tensor: expected {list(tensor.shape)}, got {list(tangent.shape)}")
    if tensor.dtype is not tangent.dtype and not tensor.dtype.is_complex:
        raise RuntimeError(
            f"Expected tangent to have the dtype of the primal, {tensor.dtype}, got "
            f"{tangent.dtype}")
    base, along, levels = _bottoms(tensor, tangent)
    made: Tensor = base.view_as(base)
    level.attach(made, along)
    return _rewrapped(made, levels)


def unpacked(level: DualLevel, tensor: Tensor) -> UnpackedDualTensor:
    """A tensor without the tangent of a level, and that tangent."""
    bottom, levels = _peeled(tensor)
    tangent = level.tangent(bottom)
    if tangent is None:
        return UnpackedDualTensor(tensor, None)
    primal: Tensor = bottom.view_as(bottom)
    vars(primal).get("tangents", {}).pop(level, None)
    if primal._fn is not None:
        vars(primal._fn).get("tangents", {}).pop((level, 0), None)
    return UnpackedDualTensor(_rewrapped(primal, levels), _rewrapped(tangent, levels))


# ---- within vmap -------------------------------------------------------------------------------
def _peeled(t: Tensor) -> tuple[Tensor, Any]:
    if not modes.ACTIVE:
        return t, ()
    from flambeau.func.batched import peeled

    return peeled(t)


def _rewrapped(t: Tensor, levels: Any) -> Tensor:
    if not levels:
        return t
    from flambeau.func.batched import rewrapped

    return rewrapped(t, levels)


def _bottoms(tensor: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor, Any]:
    """Both at the bottom, batched by the same levels of ``vmap``."""
    a, b = _peeled(tensor)[1], _peeled(tangent)[1]
    if not a and not b:
        return tensor, tangent, ()
    from flambeau.func.batched import aligned, merged

    levels = merged((a, b))
    return aligned(tensor, levels, levels), aligned(tangent, levels, levels), levels
