"""Backends by device name: found in package metadata, loaded by pluggy, kept apart when broken.

``import flambeau`` touches neither pluggy nor package metadata.  The first use of a device type
selects the entry point of that name in the group ``flambeau.backends`` and loads that one alone.
A plugin that fails is *quarantined*: what went wrong is recorded and raised whenever its device
is used, and every other device works.

Environment:
    ``FLAMBEAU_DISABLE=a,b``: never load these device types.
    ``FLAMBEAU_STRICT_PLUGINS=1``: the first discovery loads every plugin and raises the first
    error, for continuous integration.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from flambeau import compiled
from flambeau.backend import API, Backend, Capabilities, KernelTable
from flambeau.discovery import EXTRAS, GROUP, Installed, State, discover, not_found, pip_line

if TYPE_CHECKING:
    import pluggy

Phase = Literal["import", "hook", "api", "init"]


class BackendUnavailable(RuntimeError):
    """A backend is installed but cannot be used.

    Attributes:
        name: the device type.
        distribution: the distribution that the plugin came in.
        version: its version.
        phase: "import" (its module), "hook" (pluggy refused it, or its hook failed), "api" (it was
            written for another version of the plugin API) or "init" (its first answers failed).
        cause: the exception raised there.
    """

    def __init__(
        self, name: str, distribution: str, version: str, phase: Phase, cause: BaseException
    ) -> None:
        self.name, self.distribution, self.version = name, distribution, version
        self.phase, self.cause = phase, cause
        self.__cause__ = cause
        super().__init__(
            f"device {name!r} is not available: its plugin {distribution} {version} failed in "
            f"phase '{phase}': {type(cause).__name__}: {cause}{_advice(self)} "
            "Other devices are not affected; `flambeau doctor` shows the traceback."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # A traceback does not survive pickling, and a cause need not: keep its words.
        told = RuntimeError(f"{type(self.cause).__name__}: {self.cause}")
        return (type(self), (self.name, self.distribution, self.version, self.phase, told))


class ApiVersionError(RuntimeError):
    """A plugin and this flambeau do not speak the same version of the plugin API."""


class Hooks:
    """What a plugin may implement.  An implementation may leave out arguments it does not need."""

    def flambeau_backend(self, api: tuple[int, int]) -> Backend:  # type: ignore[empty-body]
        """Make the backend.  Required.

        Args:
            api: the version of the plugin API that this flambeau has.
        """

    def flambeau_ops(self, registry: Any) -> None:
        """Register ops of the plugin's own.

        Args:
            registry: the module :mod:`flambeau.registry`.
        """

    def flambeau_conformance(self, config: Any) -> None:
        """Adjust a conformance run on this device.

        Args:
            config: the run's configuration, see :mod:`flambeau_conformance`.
        """


_lock = threading.RLock()
_backends: dict[str, Backend] = {}
_managers: dict[str, pluggy.PluginManager] = {}
_quarantine: dict[str, BackendUnavailable] = {}
_loading: set[str] = set()


def backend_for(device_type: str) -> Backend:
    """The backend of a device type, loaded at its first use.

    Raises:
        BackendUnavailable: if its plugin is broken.
        RuntimeError: if none is installed, it is disabled, or two distributions provide it.
    """
    found = _backends.get(device_type)
    if found is not None:
        return found
    with _lock:
        if _is_strict() and not _loading:
            _raise_first_failure()
        found = _backends.get(device_type)
        return found if found is not None else _load(device_type)


def register_backend(backend: Backend) -> None:
    """Make a backend available in this process, without a distribution: for tests and notebooks.

    It takes precedence over an installed plugin of its name.

    Raises:
        RuntimeError: if the name is in use: tensors may exist that hold the other backend.
        ApiVersionError: if it was written for another version of the plugin API.
    """
    name = backend.name
    with _lock:
        if name in _backends or name == "meta":
            raise RuntimeError(
                f"a backend named {name!r} is already in use in this process; give this one "
                "another name, or register it in a new process before the device is first used"
            )
        _check_api(backend.api, f"the backend {name!r}")
        _check_answers(backend, name)
        _prepare(backend)
        _backends[name] = backend


def installed() -> list[Installed]:
    """The backends of this environment and process by name, without loading any."""
    with _lock:
        records = discover()
        for name, error in _quarantine.items():
            if name in records:
                state: State = "missing" if _lacks_its_extra(error) else "broken"
                records[name] = replace(records[name], state=state, error=error)
        for name, backend in _backends.items():
            if name in _managers and name in records:
                records[name] = replace(records[name], state="ready", error=None)
            elif name != "meta":
                kind = type(backend)
                where = f"{kind.__module__}:{kind.__qualname__}"
                records[name] = Installed(name, "", "", where, "ready")
        return [records[name] for name in sorted(records)]


def load_all() -> list[Installed]:
    """Load every backend that is not disabled; what failed says so in its record."""
    with _lock:
        for record in installed():
            if record.state == "not loaded":
                with suppress(BackendUnavailable):
                    _load(record.name)
        return installed()


def configure_conformance(device_type: str, config: Any) -> None:
    """Call the ``flambeau_conformance`` hook of one device's plugin, if it has one."""
    backend_for(device_type)
    manager = _managers.get(device_type)
    if manager is not None:
        manager.hook.flambeau_conformance(config=config)


# ---- loading ---------------------------------------------------------------------------------
def _load(name: str) -> Backend:
    if name == "meta":
        from flambeau.meta import MetaBackend

        return _backends.setdefault(name, MetaBackend())
    if name in _quarantine:
        e = _quarantine[name]  # a new exception each time: tracebacks must not pile up
        raise BackendUnavailable(e.name, e.distribution, e.version, e.phase, e.cause)
    if name in _loading:
        raise RuntimeError(f"the plugin of device {name!r} uses the device while it is loaded")
    record = _select(name)
    _loading.add(name)
    try:
        manager, backend = _load_plugin(record)
    except BackendUnavailable as error:
        _quarantine[name] = error
        raise
    finally:
        _loading.discard(name)
    _prepare(backend)
    _managers[name], _backends[name] = manager, backend
    return backend


def _prepare(backend: Backend) -> None:
    if compiled.IS_USED:
        backend.kernels.give_frames()


def _select(name: str) -> Installed:
    records = discover()
    record = records.get(name)
    if record is None:
        raise not_found(name, sorted(records.keys() | _backends.keys() - {"meta"}))
    if record.error is not None:
        raise record.error
    return record


def _load_plugin(record: Installed) -> tuple[pluggy.PluginManager, Backend]:
    import pluggy

    # One manager per plugin: its hooks are called alone, and two never get in each other's way.
    manager = _new_manager()
    with _phase(record, "import"):
        try:
            manager.load_setuptools_entrypoints(GROUP, name=record.name)
        except pluggy.PluginValidationError as cause:
            raise _unavailable(record, "hook", cause) from cause
    with _phase(record, "hook"):
        backend = manager.hook.flambeau_backend(api=API)
        if backend is None:
            manager.check_pending()  # names a hook that is misspelt
            raise TypeError(f"{record.entry_point} does not implement the hook flambeau_backend")
        if not isinstance(backend, Backend):
            raise TypeError(
                "flambeau_backend must return an instance of flambeau.backend.Backend, "
                f"not {backend!r}"
            )
    with _phase(record, "api"):
        _check_api(backend.api, record.distribution)
    with _phase(record, "hook"):
        manager.check_pending()  # after the version check: a newer API may have other hooks
    with _phase(record, "init"):
        _check_answers(backend, record.name)
    if manager.hook.flambeau_ops.get_hookimpls():
        from flambeau import registry

        with _phase(record, "hook"):
            manager.hook.flambeau_ops(registry=registry)
    return manager, backend


def _new_manager() -> pluggy.PluginManager:
    import pluggy

    spec = pluggy.HookspecMarker("flambeau")
    spec(firstresult=True)(Hooks.flambeau_backend)
    spec(Hooks.flambeau_ops)
    spec(Hooks.flambeau_conformance)
    manager = pluggy.PluginManager("flambeau")
    manager.add_hookspecs(Hooks)
    return manager


@contextmanager
def _phase(record: Installed, phase: Phase) -> Iterator[None]:
    """Turn whatever a plugin raises into BackendUnavailable."""
    try:
        yield
    except (Exception, SystemExit) as cause:
        if isinstance(cause, BackendUnavailable) and cause.name == record.name:
            raise
        raise _unavailable(record, phase, cause) from cause


def _unavailable(record: Installed, phase: Phase, cause: BaseException) -> BackendUnavailable:
    return BackendUnavailable(record.name, record.distribution, record.version, phase, cause)


def _raise_first_failure() -> None:
    for record in load_all():
        if record.state in ("broken", "ambiguous"):
            _load(record.name)


def _is_strict() -> bool:
    return os.environ.get("FLAMBEAU_STRICT_PLUGINS", "") not in ("", "0")


# ---- checks ----------------------------------------------------------------------------------
def _check_api(api: Any, who: str) -> None:
    """Accept the same major version and a minor version up to this one's."""
    match api:
        case (int(major), int(minor)):
            pass
        case _:
            raise ApiVersionError(f"{who} states api = {api!r}; it must be a pair like {API}")
    if major == API[0] and minor <= API[1]:
        return
    words = f"{who} was written for plugin API {major}.{minor}, this flambeau has {API[0]}.{API[1]}"
    if (major, minor) > API:
        raise ApiVersionError(f"{words}: upgrade flambeau (pip install --upgrade flambeau)")
    raise ApiVersionError(f"{words}: upgrade {who}")


def _check_answers(backend: Backend, name: str) -> None:
    """Ask a backend the first questions, so that one that cannot answer is found at loading."""
    if backend.name != name:
        raise ValueError(f"the backend calls itself {backend.name!r}, its entry point {name!r}")
    if not isinstance(getattr(backend, "kernels", None), KernelTable):
        raise TypeError(f"{type(backend).__name__}.kernels must be a flambeau.backend.KernelTable")
    count = backend.device_count()
    if type(count) is not int or count < 0:
        raise TypeError(f"device_count() must return a number of devices, not {count!r}")
    if count:
        capabilities = backend.capabilities(0)
        if not isinstance(capabilities, Capabilities):
            raise TypeError(f"capabilities(0) must return Capabilities, not {capabilities!r}")


def _advice(error: BackendUnavailable) -> str:
    """What to do about a failure, where its kind tells."""
    if _asks_for_another_flambeau(error):
        return (
            f". It asks for something that this flambeau (plugin API {API[0]}.{API[1]}) does "
            f"not have: upgrade flambeau, or install the {error.distribution} made for it."
        )
    if _lacks_its_extra(error):
        return f". Install what it needs: {pip_line(error.name)}."
    return "."


def _asks_for_another_flambeau(error: BackendUnavailable) -> bool:
    cause = error.cause
    return (
        error.phase == "import" and isinstance(cause, ImportError)
        and cause.name is not None and cause.name.partition(".")[0] == "flambeau"
    )


def _lacks_its_extra(error: BackendUnavailable) -> bool:
    """Whether a first-party backend fails only because nobody installed what it needs."""
    return (
        error.phase == "import" and isinstance(error.cause, ImportError)
        and error.distribution == "flambeau" and error.name in EXTRAS
        and not _asks_for_another_flambeau(error)
    )
