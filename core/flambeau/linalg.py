"""Linear algebra: the ops whose namespace is ``linalg``."""

from flambeau.matrices import LinAlgError as LinAlgError
from flambeau.registry import OPS

# Where PyTorch has two ops of one name, the one of this namespace is registered as linalg_NAME.
globals().update({
    op.name.removeprefix("linalg_"): op.function
    for op in OPS.values() if "linalg" in op.namespaces
})
