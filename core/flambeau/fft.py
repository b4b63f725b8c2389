"""Discrete Fourier transforms: the names of ``torch.fft``."""

from flambeau.ops.fft import fftfreq as fftfreq
from flambeau.ops.fft import rfftfreq as rfftfreq
from flambeau.registry import OPS

globals().update({
    op.name.removeprefix("fft_"): op.function for op in OPS.values() if "fft" in op.namespaces
})
