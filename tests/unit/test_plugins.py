"""Plugins are found by device name, loaded alone, and kept apart when they are broken."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from flambeau import plugins
from flambeau.backend import API, Backend, Capabilities, KernelTable
from flambeau.plugins import ApiVersionError, BackendUnavailable, backend_for

NEWER_MAJOR, NEWER_MINOR, OLDER_MAJOR = (API[0] + 1, 0), (API[0], API[1] + 1), (API[0] - 1, 9)


def states() -> dict[str, str]:
    """States of the fakes, whatever else is installed here."""
    return {r.name: r.state for r in plugins.installed() if r.name in ("toya", "toyb", "toyc")}


def failure(device: str) -> BackendUnavailable:
    with pytest.raises(BackendUnavailable) as caught:
        backend_for(device)
    return caught.value


# ---- found and loaded ------------------------------------------------------------------------
def test_a_backend_is_loaded_by_the_name_of_its_device(fake_site: Any) -> None:
    fake_site.install("toya")
    backend = backend_for("toya")
    assert isinstance(backend, Backend)
    assert backend.name == "toya"
    assert backend_for("toya") is backend


def test_only_the_backend_asked_for_is_imported(fake_site: Any) -> None:
    a, b = fake_site.install("toya"), fake_site.install("toyb")
    backend_for("toya")
    assert a in sys.modules
    assert b not in sys.modules
    assert states() == {"toya": "ready", "toyb": "not loaded"}


def test_installed_imports_nothing(fake_site: Any) -> None:
    module = fake_site.install("toya", version="3.4")
    [record] = [r for r in plugins.installed() if r.name == "toya"]
    assert (record.distribution, record.version) == ("flambeau-toya", "3.4")
    assert (record.entry_point, record.state, record.error) == (module, "not loaded", None)
    assert module not in sys.modules


def test_importing_plugins_loads_neither_pluggy_nor_metadata() -> None:
    heavy = "('pluggy', 'importlib.metadata', 'difflib')"
    code = f"import sys, flambeau.plugins; sys.exit([m for m in {heavy} if m in sys.modules] or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_meta_needs_no_plugin(fake_site: Any) -> None:
    assert backend_for("meta").name == "meta"
    assert "meta" not in [r.name for r in plugins.installed()]


@pytest.mark.parametrize("signature", ["()", "(api)"])
def test_a_hook_may_take_fewer_arguments(fake_site: Any, signature: str) -> None:
    fake_site.install("toya", fake_site.plugin.replace("(api)", signature))
    assert backend_for("toya").name == "toya"


def test_the_hook_is_told_the_version_of_the_plugin_api(fake_site: Any) -> None:
    fake_site.install("toya", fake_site.plugin.replace(
        "return FakeBackend()", "made = FakeBackend(); made.told = api; return made"
    ))
    assert backend_for("toya").told == API  # type: ignore[attr-defined]


def test_each_plugin_makes_its_own_backend(fake_site: Any) -> None:
    fake_site.install("toya")
    fake_site.install("toyb")
    assert [backend_for(n).name for n in ("toya", "toyb", "toya")] == ["toya", "toyb", "toya"]


def test_load_all_loads_what_can_be_loaded(fake_site: Any) -> None:
    fake_site.install("toya")
    fake_site.install("toyb", "raise OSError('no driver')")
    fake_site.install("toyc")
    assert [r.name for r in plugins.load_all() if r.name == "toyc"] == ["toyc"]
    assert states() == {"toya": "ready", "toyb": "broken", "toyc": "ready"}


def test_ops_of_a_plugin_are_registered_when_it_is_loaded(fake_site: Any) -> None:
    fake_site.install("toya", fake_site.plugin + """
seen = []

@hookimpl
def flambeau_ops(registry):
    seen.append(registry.__name__)
""")
    backend_for("toya")
    assert sys.modules["fake_flambeau_toya_toya"].seen == ["flambeau.registry"]


def test_conformance_is_configured_by_the_plugin_of_the_device_alone(fake_site: Any) -> None:
    hook = """
@hookimpl
def flambeau_conformance(config):
    config.append("{device}")
"""
    fake_site.install("toya", fake_site.plugin + hook)
    fake_site.install("toyb", fake_site.plugin + hook)
    backend_for("toyb")
    config: list[str] = []
    plugins.configure_conformance("toya", config)
    assert config == ["toya"]


def test_threads_load_a_backend_once(fake_site: Any) -> None:
    fake_site.install("toya", fake_site.plugin.replace(
        "    return FakeBackend()",
        "    import time; time.sleep(0.05); made.append(1); return FakeBackend()",
    ) + "made = []\n")
    found: list[Backend] = []
    start = threading.Barrier(8)

    def use() -> None:
        start.wait()
        found.append(backend_for("toya"))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert sys.modules["fake_flambeau_toya_toya"].made == [1]


# ---- not found -------------------------------------------------------------------------------
def test_an_unknown_device_names_what_is_installed_and_the_pip_line(fake_site: Any) -> None:
    fake_site.install("toya")
    with pytest.raises(RuntimeError) as caught:
        backend_for("zebra_9")
    words = str(caught.value)
    assert "'zebra_9'" in words
    assert "installed devices: " in words
    assert "toya" in words
    assert "pip install flambeau-zebra-9" in words
    assert "Did you mean" not in words


@pytest.mark.parametrize(
    ("asked", "meant", "line"),
    [
        ("toyalpa", "Did you mean 'toyalpha'?", "pip install flambeau-toyalpa"),
        ("TOYALPHA", "Did you mean 'toyalpha'?", "pip install flambeau-toyalpha"),
        ("opncl", "Did you mean 'opencl'?", 'pip install "flambeau[opencl]"'),
        ("cudda", "Did you mean 'cuda'?", 'pip install "flambeau[cuda12x]"'),
    ],
)
def test_a_misspelt_device_names_the_nearest(
    fake_site: Any, asked: str, meant: str, line: str
) -> None:
    fake_site.install("toyalpha")
    with pytest.raises(RuntimeError) as caught:
        backend_for(asked)
    assert meant in str(caught.value)
    assert line in str(caught.value)


@pytest.mark.parametrize(("device", "extra"), [("cuda", "cuda12x")])
def test_a_first_party_device_names_its_extra(fake_site: Any, device: str, extra: str) -> None:
    if device in plugins.discover():
        pytest.skip(f"{device} is installed here")
    with pytest.raises(RuntimeError) as caught:
        backend_for(device)
    assert f'pip install "flambeau[{extra}]"' in str(caught.value)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("device", ["nosuch", "nosuch:1"])
def test_moving_a_tensor_to_an_unknown_device_says_the_same(fake_site: Any, device: str) -> None:
    import flambeau

    fake_site.install("toya")
    with pytest.raises(RuntimeError) as caught:
        flambeau.ones(2).to(device)
    words = str(caught.value)
    assert "'nosuch'" in words
    assert "cpu" in words
    assert "toya" in words
    assert "pip install flambeau-nosuch" in words
    with pytest.raises(RuntimeError, match="no backend for device 'nosuch' is installed"):
        flambeau.nn.Linear(2, 2).to(device)
    with pytest.raises(RuntimeError, match="no backend for device 'nosuch' is installed"):
        flambeau.zeros(2, device=device)


def test_moving_a_tensor_to_a_broken_device_raises_its_quarantine(fake_site: Any) -> None:
    import flambeau

    fake_site.install("toya", "raise OSError('no driver')")
    with pytest.raises(BackendUnavailable, match="OSError: no driver"):
        flambeau.ones(2).to("toya")
    assert flambeau.ones(2).sum().item() == 2


def test_without_metadata_the_cpu_error_says_how_to_install_flambeau(
    fake_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(fake_site.root)])
    with pytest.raises(RuntimeError, match=r"pip install -e \."):
        backend_for("cpu")


def test_a_name_provided_twice_names_both_distributions(fake_site: Any) -> None:
    fake_site.install("toya", distribution="flambeau-first", version="1.0")
    fake_site.install("toya", distribution="flambeau-second", version="2.0")
    fake_site.install("toyb")
    with pytest.raises(RuntimeError) as caught:
        backend_for("toya")
    assert "flambeau-first 1.0" in str(caught.value)
    assert "flambeau-second 2.0" in str(caught.value)
    assert "pip uninstall" in str(caught.value)
    assert states() == {"toya": "ambiguous", "toyb": "not loaded"}
    assert backend_for("toyb").name == "toyb"


def test_disabled_devices_are_not_imported(
    fake_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = fake_site.install("toya")
    fake_site.install("toyb")
    monkeypatch.setenv("FLAMBEAU_DISABLE", "other, toya")
    with pytest.raises(RuntimeError, match=r"'toya' is disabled by .* FLAMBEAU_DISABLE"):
        backend_for("toya")
    plugins.load_all()
    assert states() == {"toya": "disabled", "toyb": "ready"}
    assert module not in sys.modules


# ---- quarantine ------------------------------------------------------------------------------
def broken_bodies(plugin: str, backend: str) -> Iterator[tuple[str, str, str]]:
    """Plugins that fail: the phase, the source, words of the error."""
    yield "import", "import module_that_does_not_exist", "module_that_does_not_exist"
    yield "import", "raise SystemExit(3)", "SystemExit: 3"
    yield "import", "def (", "SyntaxError"
    yield "hook", backend, "does not implement the hook flambeau_backend"
    yield "hook", plugin.replace("(api)", "(api, speed)"), "speed"
    yield "hook", plugin.replace("flambeau_backend", "flambeau_backends"), "flambeau_backends"
    yield "hook", plugin + "\n@hookimpl\ndef flambeau_extra(): ...\n", "flambeau_extra"
    yield "hook", plugin.replace("FakeBackend()", "1 / 0"), "ZeroDivisionError"
    yield "hook", plugin.replace("return FakeBackend()", "return 'cpu'"), "not 'cpu'"
    yield "hook", plugin.replace("def synchronize", "def sync"), "synchronize"
    yield "hook", plugin + "\n@hookimpl\ndef flambeau_ops(): 1 / 0\n", "ZeroDivisionError"
    yield "init", plugin.replace('name = "{device}"', 'name = "x"'), "calls itself 'x'"
    yield "init", plugin.replace("return 1", "raise OSError('no driver')"), "no driver"
    yield "init", plugin.replace("return 1", "return None"), "device_count"
    yield "init", plugin.replace("return Capabilities()", "return {}"), "capabilities(0)"
    yield "init", plugin.replace("kernels = KernelTable()", ""), "KernelTable"


@pytest.mark.parametrize("case", range(16))
def test_a_broken_plugin_is_quarantined_with_its_phase(fake_site: Any, case: int) -> None:
    phase, body, words = list(broken_bodies(fake_site.plugin, fake_site.backend))[case]
    fake_site.install("toya", body, version="0.7")
    fake_site.install("toyb")
    error = failure("toya")
    assert error.phase == phase
    assert (error.name, error.distribution, error.version) == ("toya", "flambeau-toya", "0.7")
    assert error.__cause__ is error.cause
    assert words in str(error)
    assert "flambeau-toya 0.7" in str(error)
    assert "flambeau doctor" in str(error)
    assert states() == {"toya": "broken", "toyb": "not loaded"}
    assert backend_for("toyb").name == "toyb"


def test_a_first_party_backend_without_its_extra_is_missing_and_not_broken(
    fake_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a distribution named flambeau: it hides the real one, and its devices, from this test
    fake_site.install("opencl", "import module_that_does_not_exist", distribution="flambeau")
    error = failure("opencl")
    assert "module_that_does_not_exist" in str(error)
    assert 'pip install "flambeau[opencl]"' in str(error)
    assert [r.state for r in plugins.installed() if r.name == "opencl"] == ["missing"]
    monkeypatch.setenv("FLAMBEAU_STRICT_PLUGINS", "1")
    fake_site.install("toya")
    assert backend_for("toya").name == "toya"


@pytest.mark.parametrize(("device", "distribution", "body"), [
    ("opencl", "flambeau", "from flambeau import nothing_of_the_sort"),
    ("opencl", "flambeau", "1 / 0"),
    ("toya", "flambeau", "import module_that_does_not_exist"),
    ("opencl", "flambeau-other", "import module_that_does_not_exist"),
], ids=["asks for another flambeau", "fails otherwise", "has no extra", "is not first-party"])
def test_other_failures_are_not_taken_for_a_missing_extra(
    fake_site: Any, device: str, distribution: str, body: str
) -> None:
    if distribution != "flambeau":
        fake_site.install("toyb", distribution="flambeau")  # hides the real one and its devices
    fake_site.install(device, body, distribution=distribution)
    failure(device)
    assert [r.state for r in plugins.installed() if r.name == device] == ["broken"]


def test_every_broken_body_is_tried(fake_site: Any) -> None:
    assert len(list(broken_bodies(fake_site.plugin, fake_site.backend))) == 16


def test_a_quarantined_plugin_raises_again_without_being_imported_again(fake_site: Any) -> None:
    module = fake_site.install("toya", "import os\nos.environ['TOYA'] += 'x'\n1 / 0\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOYA", "")
        first, second = failure("toya"), failure("toya")
        assert os.environ["TOYA"] == "x"
    assert str(first) == str(second)
    assert first is not second
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("api", "upgrade"),
    [
        (NEWER_MAJOR, "upgrade flambeau (pip"),
        (NEWER_MINOR, "upgrade flambeau (pip"),
        (OLDER_MAJOR, "upgrade flambeau-toya"),
        ("1.0", "it must be a pair"),
    ],
)
def test_an_api_version_that_does_not_fit_says_which_side_to_upgrade(
    fake_site: Any, api: object, upgrade: str
) -> None:
    fake_site.install("toya", fake_site.plugin.replace("kernels =", f"api = {api!r}; kernels ="))
    error = failure("toya")
    assert error.phase == "api"
    assert isinstance(error.cause, ApiVersionError)
    assert upgrade in str(error)


def test_a_name_that_a_newer_plugin_api_has_is_explained(fake_site: Any) -> None:
    fake_site.install("toya", "from flambeau.backend import FromTheFuture\n")
    error = failure("toya")
    assert error.phase == "import"
    assert "upgrade flambeau, or install the flambeau-toya made for it" in str(error)


def test_a_plugin_that_uses_its_device_while_it_is_loaded_is_told(fake_site: Any) -> None:
    body = "from flambeau.plugins import backend_for\nbackend_for('toya')\n"
    fake_site.install("toya", body)
    assert "uses the device while it is loaded" in str(failure("toya"))


def test_a_plugin_may_use_another_device_while_it_is_loaded(fake_site: Any) -> None:
    fake_site.install("toyb")
    use = "import flambeau.plugins as p\np.backend_for('toyb')\n"
    fake_site.install("toya", use + fake_site.plugin)
    assert backend_for("toya").name == "toya"
    assert states()["toyb"] == "ready"


def test_a_plugin_that_needs_a_broken_one_carries_its_error(fake_site: Any) -> None:
    fake_site.install("toyb", "1 / 0")
    fake_site.install("toya", "import flambeau.plugins as p\np.backend_for('toyb')\n")
    error = failure("toya")
    assert error.name == "toya"
    assert isinstance(error.cause, BackendUnavailable)
    assert error.cause.name == "toyb"


def test_the_error_can_be_sent_to_another_process(fake_site: Any) -> None:
    fake_site.install("toya", "1 / 0")
    error = failure("toya")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.name, copy.phase, copy.version) == ("toya", "import", "1.2")
    assert "ZeroDivisionError: division by zero" in str(copy)


def test_strict_plugins_raise_at_the_first_discovery(
    fake_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_site.install("toya")
    fake_site.install("toyb", "1 / 0")
    monkeypatch.setenv("FLAMBEAU_STRICT_PLUGINS", "1")
    with pytest.raises(BackendUnavailable, match="'toyb' is not available"):
        backend_for("toya")
    monkeypatch.setenv("FLAMBEAU_STRICT_PLUGINS", "0")
    assert backend_for("toya").name == "toya"


def test_strict_plugins_raise_for_a_name_provided_twice(
    fake_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_site.install("toyb", distribution="flambeau-first")
    fake_site.install("toyb", distribution="flambeau-second")
    monkeypatch.setenv("FLAMBEAU_STRICT_PLUGINS", "1")
    with pytest.raises(RuntimeError, match="provided by 2 distributions"):
        backend_for("meta")


def test_a_loaded_device_is_found_without_looking_at_metadata(
    fake_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_site.install("toya")
    backend = backend_for("toya")
    monkeypatch.setattr(plugins, "discover", lambda: pytest.fail("looked at metadata"))
    assert backend_for("toya") is backend


# ---- registered in the process ---------------------------------------------------------------
class Handmade(Backend):
    name = "toyhand"
    kernels = KernelTable()

    def device_count(self) -> int:
        return 1

    def alloc(self, nbytes: int, index: int) -> bytearray:
        return bytearray(nbytes)

    def copy_in(self, buffer: Any, offset: int, data: memoryview, index: int) -> None: ...

    def copy_out(self, buffer: Any, offset: int, nbytes: int, index: int) -> bytes:
        return bytes(nbytes)

    def copy_device(self, *arguments: Any) -> None: ...

    def synchronize(self, index: int) -> None: ...

    def capabilities(self, index: int) -> Capabilities:
        return Capabilities()

    def device_info(self, index: int) -> dict[str, str]:
        return {"name": "made by hand"}


def test_a_backend_can_be_registered_without_a_distribution(fake_site: Any) -> None:
    backend = Handmade()
    plugins.register_backend(backend)
    assert backend_for("toyhand") is backend
    [record] = [r for r in plugins.installed() if r.name == "toyhand"]
    assert (record.state, record.distribution) == ("ready", "")
    assert record.entry_point.endswith(":Handmade")
    with pytest.raises(RuntimeError, match="toyhand"):
        backend_for("toyhandd")


def test_a_registered_backend_goes_before_an_installed_one(fake_site: Any) -> None:
    module = fake_site.install("toyhand")
    backend = Handmade()
    plugins.register_backend(backend)
    assert backend_for("toyhand") is backend
    assert module not in sys.modules


def test_a_name_in_use_cannot_be_registered(fake_site: Any) -> None:
    plugins.register_backend(Handmade())
    with pytest.raises(RuntimeError, match="'toyhand' is already in use"):
        plugins.register_backend(Handmade())


def test_a_registered_backend_is_checked_too(fake_site: Any) -> None:
    class Newer(Handmade):
        api = NEWER_MAJOR

    with pytest.raises(ApiVersionError, match=r"the backend 'toyhand' .* upgrade flambeau"):
        plugins.register_backend(Newer())
    assert "toyhand" not in [r.name for r in plugins.installed()]
