"""Compiles the core: ``python -m flambeau.compile_core`` (needs ``flambeau[compiled]`` and a C
compiler).

The hot modules and the functions built from schemas are written out as Cython sources, in which
the fields of tensors, nodes, layouts and storages are C structures, and compiled into a folder
beside the sources, where :mod:`flambeau.compiled` finds them.
"""
