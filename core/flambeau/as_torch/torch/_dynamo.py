"""``torch._dynamo``: nothing is compiled."""

from types import SimpleNamespace

from flambeau.as_torch.torch.compiler import allow_in_graph as allow_in_graph
from flambeau.as_torch.torch.compiler import assume_constant_result as assume_constant_result
from flambeau.as_torch.torch.compiler import disable as disable
from flambeau.as_torch.torch.compiler import is_compiling as is_compiling
from flambeau.as_torch.torch.compiler import reset as reset

config = SimpleNamespace()


def graph_break(msg: str = "") -> None:
    """There is no graph."""
