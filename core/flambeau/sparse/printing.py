"""Sparse tensors as text: their parts, and the facts that those do not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flambeau.printing import _contents, _facts, _joined
from flambeau.sparse.pattern import Coordinates

if TYPE_CHECKING:
    from flambeau.sparse.tensor import SparseTensor
    from flambeau.tensor import Tensor

_PREFIX = "tensor("


def _part(name: str, t: Tensor) -> str:
    head = f"{name}=tensor("
    size = f", size={tuple(t.shape)}"
    if t.device.type == "meta":
        return f"{head}...{size})"
    return head + _contents(t, len(_PREFIX + head)) + (size if not t.numel() else "") + ")"


def text(t: SparseTensor) -> str:
    """A sparse tensor as PyTorch prints it."""
    from flambeau.sparse.construct import _NAMES

    pattern = t._pattern
    names = ("indices",) if isinstance(pattern, Coordinates) else _NAMES[pattern.layout]
    parts = [_part(n, p) for n, p in zip(names, pattern.parts(), strict=True)]
    between = ",\n" + " " * len(_PREFIX)
    body = _PREFIX + between.join([*parts, _part("values", t._held)])
    facts = [f"size={tuple(t.shape)}", f"nnz={pattern.nnz}"]
    told = {fact.split("=")[0]: fact for fact in _facts(t)}
    if "device" in told:
        facts.insert(0, told["device"])
    if "dtype" in told:
        facts.append(told["dtype"])
    facts.append(f"layout={pattern.layout}")
    facts += [told[key] for key in ("grad_fn", "requires_grad") if key in told]
    if isinstance(pattern, Coordinates):
        body += between + facts.pop(0)
    return _joined(body, facts, len(_PREFIX))
