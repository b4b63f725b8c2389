"""A backend in an afternoon: the C dialect, the host's compiler, and ctypes."""
