"""A toy device: its memory is a ``bytearray``, its kernels are one NumPy call each."""
