"""The OpenCL backend: kernels from the core's generator, memory and launches by pyopencl."""
