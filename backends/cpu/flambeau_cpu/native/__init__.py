"""Kernels in C, compiled on this machine when they are first needed.

NumPy serves small arrays; from some size on a kernel in C is used instead, if there is a compiler.
Sources are in ``c/``, one file per family; ``kernels/`` calls them.  A kernel in C gets whole
arrays, divides its work into tasks by the shapes alone, and has the one pool of threads run them.

Kernels of ops that have a scalar formula are not written but generated (:mod:`.pointwise`): a loop
for the dtypes of a call, compiled when it is first needed, in about 0.1 s.

``#include "mathematics.h"`` gives a source the elementary functions of the formula language, such
as ``fb_exp_f32(x)``, ``fb_erf_f64(x)`` and ``fb_sigmoid_f32(x)``: see
:mod:`flambeau_cpu.native.mathematics`.

Environment:
    ``FLAMBEAU_CPU_NATIVE``: ``0`` never uses kernels in C, ``all`` uses them for every size (for
        tests); without it, from the size on where they are faster.
    ``CC``: the compiler.
"""
