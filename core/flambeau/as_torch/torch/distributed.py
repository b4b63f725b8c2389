"""``torch.distributed`` as a PyTorch has it that was built without it."""


def is_available() -> bool:
    """False: this process is all there is."""
    return False


def is_initialized() -> bool:
    """False."""
    return False
