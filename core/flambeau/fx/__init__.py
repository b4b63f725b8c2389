"""Programs over modules: a module's ``forward`` as a graph of calls, changed, and run again.

The names of ``torch.fx``.  Tracing calls ``forward`` once with proxies, so what depends on values
is not seen: it raises ``TraceError``.
"""

from flambeau.fx.graph import Graph as Graph
from flambeau.fx.graph_module import GraphModule as GraphModule
from flambeau.fx.interpreter import Interpreter as Interpreter
from flambeau.fx.interpreter import Transformer as Transformer
from flambeau.fx.node import Node as Node
from flambeau.fx.node import has_side_effect as has_side_effect
from flambeau.fx.node import map_arg as map_arg
from flambeau.fx.proxy import Proxy as Proxy
from flambeau.fx.proxy import TraceError as TraceError
from flambeau.fx.rewriting import Match as Match
from flambeau.fx.rewriting import replace_pattern as replace_pattern
from flambeau.fx.tracer import Tracer as Tracer
from flambeau.fx.tracer import symbolic_trace as symbolic_trace
from flambeau.fx.tracer import wrap as wrap
