"""PyTorch's modules and public names, and where flambeau has them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

ROOTS: Final = {
    "torch": ("flambeau.as_torch.torch", "flambeau"),
    "torchvision": ("flambeau.as_torch.torchvision", "flambeau.vision"),
}
"""For each distribution, the package of what flambeau itself does not need, and flambeau's own."""

VERSIONS: Final = {"torch": "2.13.0", "torchvision": "0.28.0"}

_ELSEWHERE: Final = {
    "torch.utils.data": "flambeau.data",
    "torch.utils.data.dataloader": "flambeau.data.loader",
    "torch.utils.data._utils.collate": "flambeau.data.collate",
    "torch.utils.data.datapipes.datapipe": "flambeau.data.datapipes.pipe",
}
"""Modules that have another name here; those within them are within the other, too."""


def home(name: str) -> str:
    """Where flambeau would have a module of PyTorch."""
    root = name.partition(".")[0]
    whole = name
    while whole:
        if whole in _ELSEWHERE:
            return _ELSEWHERE[whole] + name[len(whole):]
        whole = whole.rpartition(".")[0]
    return ROOTS[root][1] + name[len(root):]


@functools.cache
def _table() -> dict[str, frozenset[str]]:
    text = (Path(__file__).parent / "torch_names.txt").read_text()
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {name: frozenset(rest) for name, *rest in lines}


def is_known(name: str) -> bool:
    """Whether PyTorch has a module of this name."""
    root = name.partition(".")[0]
    if root not in ROOTS:
        return False
    return is_listed(name) or is_open(name.rpartition(".")[0])


def is_listed(name: str) -> bool:
    """Whether PyTorch is known to have a module of this name."""
    return name in _table()


def is_open(name: str) -> bool:
    """Whether a module is, or is in, one of which it is not known what else is in it."""
    return any(f"{name}.".startswith(f"{whole}.") for whole in _OPEN)


def is_public(module: str, name: str) -> bool:
    """Whether PyTorch's module has this public name."""
    return name in _table().get(module, ())


def public_names(module: str) -> frozenset[str]:
    """The public names of PyTorch's module; submodules are not among them."""
    return _table().get(module, frozenset())


# Large packages without a counterpart: what is in them is not listed.
_OPEN: Final = (
    "torch.ao", "torch.distributed", "torch.onnx", "torch.export", "torch._dynamo",
    "torch._inductor", "torch._subclasses", "torch._higher_order_ops", "torch.package",
    "torch._C._distributed_c10d", "torch._C._functorch",
    "torch.utils.benchmark", "torch.quantization", "torch._prims", "torch._decomp", "torch._export",
    "torch.testing._internal", "torchvision.prototype",
    "torchvision.models", "torchvision.datasets",
)
