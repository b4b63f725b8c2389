"""``torch.__future__``: switches that keep what programs set."""

_overwrite = False
_swap = False


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Keep a setting: ``Module.to`` changes ``parameter.data`` in either case."""
    global _overwrite
    _overwrite = value


def get_overwrite_module_params_on_conversion() -> bool:
    """What was set."""
    return _overwrite


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Keep a setting: ``Module.to`` changes ``parameter.data`` in either case."""
    global _swap
    _swap = value


def get_swap_module_params_on_conversion() -> bool:
    """What was set."""
    return _swap
