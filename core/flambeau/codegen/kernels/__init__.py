"""Kernels as sources: for each family, the text of one kernel for given types and dimensions."""
