"""For tests of programs: comparing values, and making inputs."""

from flambeau.testing.comparison import assert_allclose, assert_close
from flambeau.testing.creation import make_tensor
from flambeau.testing.file_check import FileCheck

__all__ = ["FileCheck", "assert_allclose", "assert_close", "make_tensor"]
