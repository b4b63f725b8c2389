"""Switches of the process."""

import pytest

import flambeau as fb


def test_deterministic_algorithms() -> None:
    assert not fb.are_deterministic_algorithms_enabled()
    try:
        fb.use_deterministic_algorithms(True, warn_only=True)
        assert fb.are_deterministic_algorithms_enabled()
        assert fb.is_deterministic_algorithms_warn_only_enabled()
        assert fb.get_deterministic_debug_mode() == 1
        fb.set_deterministic_debug_mode("error")
        assert fb.get_deterministic_debug_mode() == 2
        with pytest.raises(RuntimeError, match="expected one of"):
            fb.set_deterministic_debug_mode("loud")
        with pytest.raises(TypeError, match="str or int"):
            fb.set_deterministic_debug_mode(1.5)  # type: ignore[arg-type]
    finally:
        fb.use_deterministic_algorithms(False)


def test_precision_and_threads() -> None:
    assert fb.get_float32_matmul_precision() == "highest"
    with pytest.warns(UserWarning, match="has no effect"):
        fb.set_float32_matmul_precision("low")
    fb.set_float32_matmul_precision("high")
    assert fb.get_float32_matmul_precision() == "high"
    fb.set_float32_matmul_precision("highest")
    with pytest.raises(RuntimeError, match="positive"):
        fb.set_num_interop_threads(0)
    assert fb.get_num_interop_threads() >= 1
    assert fb.set_flush_denormal(True) is False
    fb.set_warn_always(True)
    assert fb.is_warn_always_enabled()
    fb.set_warn_always(False)


def test_windows_by_their_older_names() -> None:
    assert fb.allclose(fb.hann_window(8), fb.signal.windows.hann(8, sym=False))
    assert fb.allclose(
        fb.hamming_window(8, False, 0.6, 0.4), fb.signal.windows.general_hamming(8, alpha=0.6))
    assert fb.allclose(fb.blackman_window(8, periodic=False), fb.signal.windows.blackman(8))
    assert fb.allclose(fb.bartlett_window(8), fb.signal.windows.bartlett(8, sym=False))
    assert fb.hann_window(1).tolist() == [1]
    assert fb.hann_window(5, dtype=fb.float64).dtype == fb.float64


def test_functions_that_stand_in_two_places() -> None:
    assert fb.kl_div is fb.nn.functional.kl_div
    assert fb.embedding is fb.nn.functional.embedding
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        fb.nonsense  # noqa: B018
