"""The names of ``torch.jit``, with what they mean there under ``PYTORCH_JIT=0``.

Nothing is compiled here.  ``script`` and ``trace`` give back what they are given, which runs
eagerly: programs that call them work, at the speed of programs that do not.
"""

from typing import Final as Final

from flambeau.futures import Future as Future
from flambeau.jit.containers import isinstance as isinstance
from flambeau.jit.deployment import freeze as freeze
from flambeau.jit.deployment import load as load
from flambeau.jit.deployment import optimize_for_inference as optimize_for_inference
from flambeau.jit.deployment import save as save
from flambeau.jit.fusion import enable_onednn_fusion as enable_onednn_fusion
from flambeau.jit.fusion import onednn_fusion_enabled as onednn_fusion_enabled
from flambeau.jit.fusion import set_fusion_strategy as set_fusion_strategy
from flambeau.jit.fusion import strict_fusion as strict_fusion
from flambeau.jit.marks import Attribute as Attribute
from flambeau.jit.marks import annotate as annotate
from flambeau.jit.marks import export as export
from flambeau.jit.marks import ignore as ignore
from flambeau.jit.marks import interface as interface
from flambeau.jit.marks import unused as unused
from flambeau.jit.scripting import CompilationUnit as CompilationUnit
from flambeau.jit.scripting import Error as Error
from flambeau.jit.scripting import RecursiveScriptModule as RecursiveScriptModule
from flambeau.jit.scripting import ScriptFunction as ScriptFunction
from flambeau.jit.scripting import ScriptModule as ScriptModule
from flambeau.jit.scripting import is_scripting as is_scripting
from flambeau.jit.scripting import is_tracing as is_tracing
from flambeau.jit.scripting import script as script
from flambeau.jit.scripting import script_if_tracing as script_if_tracing
from flambeau.jit.scripting import script_method as script_method
from flambeau.jit.scripting import trace as trace
from flambeau.jit.scripting import trace_module as trace_module
from flambeau.jit.tasks import fork as fork
from flambeau.jit.tasks import wait as wait
