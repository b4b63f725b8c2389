import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from flambeau_cpu.onednn import library
from flambeau_cpu.onednn.kernels import TABLE
from flambeau_cpu.onednn.kernels.matmul import matmul


def _python(code, **environment):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True, env={**os.environ, **environment}, timeout=60)
    return done.stdout.strip()


SHOW = "from flambeau_cpu.onednn import library; print(library.api() is None, library.state())"


@pytest.mark.parametrize("numbers", [(2, 7, 1), (4, 0, 0)])
def test_refuses_other_versions(numbers):
    version = SimpleNamespace(numbers=numbers)
    fake = SimpleNamespace(dnnl_version=lambda: SimpleNamespace(contents=version))
    with pytest.raises(library.Refused, match=f"oneDNN {numbers[0]}"):
        library._version(fake)


@pytest.mark.usefixtures("dnnl")
def test_says_which_version_it_found():
    assert library.state().startswith("3.")


def test_what_is_no_library_is_refused_with_a_reason(tmp_path):
    path = tmp_path / "libdnnl.so.3"
    path.write_text("nothing")
    said = _python(SHOW, FLAMBEAU_ONEDNN=str(path))
    assert said.startswith("True")
    assert str(path) in said


def test_can_be_turned_off():
    which = ("from flambeau_cpu.device import CpuBackend as B; from flambeau_cpu.kernels "
             "import TABLE as T; print(B.kernels.fresh['gelu'] is T.fresh['gelu'])")
    said = _python(f"{SHOW}; {which}", FLAMBEAU_ONEDNN="0", FLAMBEAU_CPU_NATIVE="0")
    assert "off (FLAMBEAU_ONEDNN=0)" in said
    assert said.endswith("True")


@pytest.mark.usefixtures("dnnl")
def test_is_not_looked_for_before_a_large_array_comes():
    code = ("import flambeau as f; from flambeau_cpu.onednn import library as l; "
            "f.softmax(f.ones(4, 4), 1); print(len(l._found)); "
            "f.softmax(f.ones(256, 256), 1); print(len(l._found))")
    assert _python(code, FLAMBEAU_CPU_NATIVE="0", FLAMBEAU_ONEDNN_MIN="").split() == ["0", "1"]


def test_every_kernel_has_one_of_numpys_behind_it():
    from flambeau_cpu.kernels import TABLE as NUMPY

    assert TABLE.fresh.keys() <= NUMPY.fresh.keys()


def test_threads_of_others_are_left_alone(dnnl):
    before = dnnl.threads()
    dnnl.set_threads(5)
    try:
        matmul(np.ones((128, 128), np.float32), np.ones((128, 128), np.float32))
        assert dnnl.threads() == 5
    finally:
        dnnl.set_threads(before)
