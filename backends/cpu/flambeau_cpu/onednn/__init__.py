"""Kernels from oneDNN, for machines that have the library but no compiler.

``pip install "flambeau[onednn]"`` brings the library; one that the system has is used too.
``kernels/`` calls it through ctypes: single precision only, the rest is declined and NumPy does
it.  oneDNN's own threads cut sums by how many threads there are, so it is always told to use one;
the work is cut into parts by the shapes alone, and a pool of Python threads runs the parts.

Environment:
    ``FLAMBEAU_ONEDNN``: the path of the library, or ``0`` to do without it.
    ``FLAMBEAU_ONEDNN_MIN``: elements from which on it is used, in place of each kernel's own
        choice (``0``: always, for tests).
"""
