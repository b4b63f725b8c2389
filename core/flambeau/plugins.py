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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from flambeau.backend import API, Backend, Capabilities, KernelTable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import pluggy

Phase = Literal["import", "hook", "api", "init"]
State = Literal["not loaded", "ready", "broken", "disabled", "ambiguous"]

GROUP: Final = "flambeau.backends"
EXTRAS: Final = {"cuda": "cuda12x", "opencl": "opencl"}
"""The extra of flambeau that installs what a first-party device type needs."""


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


class ApiMismatch(RuntimeError):
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


@dataclass(frozen=True, slots=True)
class Installed:
    """A backend that is installed or registered, without loading it."""

    name: str
    distribution: str
    version: str
    entry_point: str
    state: State
    error: RuntimeError | None = None


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
        ApiMismatch: if it was written for another version of the plugin API.
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
        _backends[name] = backend


def installed() -> list[Installed]:
    """The backends of this environment by name, without loading any."""
    with _lock:
        records = [_record(name, entries) for name, entries in sorted(_discover().items())]
        known = {r.name for r in records}
        here = [
            Installed(name, "", "", f"{type(b).__module__}:{type(b).__qualname__}", "ready")
            for name, b in sorted(_backends.items())
            if name not in known and name != "meta"
        ]
    return records + here


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
def _raise_first_failure() -> None:
    for record in load_all():
        if record.state in ("broken", "ambiguous"):
            _load(record.name)


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
    _managers[name], _backends[name] = manager, backend
    return backend


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
        manager.check_pending()
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
    except BackendUnavailable as error:
        if error.name == record.name:
            raise
        raise _unavailable(record, phase, error) from error
    except (Exception, SystemExit) as cause:
        raise _unavailable(record, phase, cause) from cause


def _unavailable(record: Installed, phase: Phase, cause: BaseException) -> BackendUnavailable:
    return BackendUnavailable(record.name, record.distribution, record.version, phase, cause)


def _check_api(api: Any, who: str) -> None:
    """Accept the same major version and a minor version up to this one's."""
    match api:
        case (int(major), int(minor)):
            pass
        case _:
            raise ApiMismatch(f"{who} states api = {api!r}; it must be a pair of ints like {API}")
    if major == API[0] and minor <= API[1]:
        return
    words = f"{who} was written for plugin API {major}.{minor}, this flambeau has {API[0]}.{API[1]}"
    if (major, minor) > API:
        raise ApiMismatch(f"{words}: upgrade flambeau (pip install --upgrade flambeau)")
    raise ApiMismatch(f"{words}: upgrade {who}")


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


# ---- discovery -------------------------------------------------------------------------------
def _discover() -> dict[str, list[EntryPoint]]:
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return found


def _record(name: str, entries: list[EntryPoint]) -> Installed:
    """What metadata and this process know of a name."""
    first, *others = entries
    owner = _owner(first)
    record = Installed(name, *owner, first.value, "not loaded")
    if name in _backends:
        return replace(record, state="ready")
    if name in _quarantine:
        return replace(record, state="broken", error=_quarantine[name])
    if name in _disabled():
        words = f"device {name!r} is disabled by the environment variable FLAMBEAU_DISABLE"
        return replace(record, state="disabled", error=RuntimeError(words))
    if others:
        owners = [" ".join(_owner(e)) for e in entries]
        words = (
            f"device {name!r} is provided by {len(entries)} distributions: {' and '.join(owners)}; "
            "uninstall all but one (pip uninstall NAME)"
        )
        names = ", ".join(_owner(e)[0] for e in entries)
        return replace(record, distribution=names, state="ambiguous", error=RuntimeError(words))
    return record


def _owner(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that an entry point came in."""
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("?", "?")


def _select(name: str) -> Installed:
    found = _discover()
    if name not in found:
        raise RuntimeError(_not_found(name, sorted(found.keys() | _backends.keys() - {"meta"})))
    record = _record(name, found[name])
    if record.error is not None:
        raise RuntimeError(str(record.error))
    return record


def _disabled() -> set[str]:
    names = os.environ.get("FLAMBEAU_DISABLE", "").split(",")
    return {n.strip() for n in names if n.strip()}


def _is_strict() -> bool:
    return os.environ.get("FLAMBEAU_STRICT_PLUGINS", "") not in ("", "0")


# ---- words -----------------------------------------------------------------------------------
def _not_found(name: str, names: list[str]) -> str:
    """Say which devices are installed, which one was perhaps meant, and the pip line."""
    words = [
        f"no backend for device {name!r} is installed; "
        f"installed devices: {', '.join(names) or 'none'}."
    ]
    if name == "cpu":
        words.append(
            "The CPU backend comes with flambeau, and flambeau's package metadata was not found: "
            "install it (pip install flambeau, or pip install -e . in a source tree)."
        )
        return " ".join(words)
    near = _nearest(name, {*names, *EXTRAS})
    wanted = name
    if near is not None and near != name:
        words.append(f"Did you mean {near!r}?")
        wanted = near if near not in names else name
    words.append(f"To install {wanted!r}: {_pip_line(wanted)}")
    return " ".join(words)


def _nearest(name: str, names: set[str]) -> str | None:
    from difflib import get_close_matches

    by_lower = {n.lower(): n for n in sorted(names)}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[found[0]] if found else None


def _pip_line(name: str) -> str:
    extra = EXTRAS.get(name)
    if extra is None:
        return (
            f"pip install flambeau-{name.lower().replace('_', '-')} "
            "(the name that a third-party package of this device would have)"
        )
    line = f'pip install "flambeau[{extra}]"'
    version = _version_without(extra)
    return line if version is None else f"{line} (from a later version: {version} lacks it)"


def _version_without(extra: str) -> str | None:
    """The version of flambeau, if it is installed and does not have an extra."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        facts = metadata("flambeau")
    except PackageNotFoundError:
        return None
    return None if extra in (facts.get_all("Provides-Extra") or []) else facts["Version"]


def _advice(error: BackendUnavailable) -> str:
    """What to do about a failure, where its kind tells."""
    cause = error.cause
    if error.phase == "import" and isinstance(cause, ImportError):
        if cause.name is not None and cause.name.partition(".")[0] == "flambeau":
            return (
                f". It asks for something that this flambeau (plugin API {API[0]}.{API[1]}) does "
                f"not have: upgrade flambeau, or install the {error.distribution} made for it."
            )
        if error.distribution == "flambeau" and error.name in EXTRAS:
            return f". Install what it needs: {_pip_line(error.name)}."
    return "."
