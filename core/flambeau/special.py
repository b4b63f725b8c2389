"""Special functions: the names of ``torch.special``."""

from flambeau.registry import OPS

globals().update({
    op.name.removeprefix("special_"): op.function
    for op in OPS.values() if "special" in op.namespaces
})
digamma, expit = OPS["digamma"].function, OPS["sigmoid"].function
