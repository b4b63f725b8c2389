"""Linear algebra: the ops whose namespace is ``linalg``."""

from flambeau.registry import OPS

globals().update({op.name: op.function for op in OPS.values() if "linalg" in op.namespaces})
