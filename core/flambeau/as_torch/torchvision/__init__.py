"""What programs ask of ``torchvision`` itself, beyond ``flambeau.vision``."""

from flambeau.as_torch.names import VERSIONS

__version__ = VERSIONS["torchvision"]


def set_image_backend(backend: str) -> None:
    """Accept Pillow, which reads the images.

    Raises:
        ValueError: for another one.
    """
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. Options are 'PIL'")


def get_image_backend() -> str:
    """``"PIL"``."""
    return "PIL"


def disable_beta_transforms_warning() -> None:
    """There is no such warning."""
