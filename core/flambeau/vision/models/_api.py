"""The register of models, and their published weights."""

from __future__ import annotations

import fnmatch
import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType
from typing import Any, TypeVar

from flambeau import nn
from flambeau.vision.models.presets import ImageClassification

M = TypeVar("M", bound=nn.Module)

_ADDRESS = "https://download.pytorch.org/models/"
_MODELS: dict[str, tuple[Callable[..., nn.Module], type[WeightsEnum]]] = {}


@dataclass(frozen=True)
class Weights:
    """Weights at an address.

    ``transforms()`` makes what turns a picture into the model's input.  ``meta`` has the number of
    parameters, ``num_params``, and the number of classes, ``num_classes``.
    """

    url: str
    transforms: Callable[..., Any]
    meta: dict[str, Any] = field(compare=False)


class WeightsEnum(Enum):
    """The published weights of a model; ``DEFAULT`` are the best."""

    value: Weights

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """The member that is meant by a member, its name, or None for none.

        Raises:
            ValueError: there are no weights of this name.
            TypeError: these are another model's.
        """
        if isinstance(obj, str):
            name = obj.removeprefix(f"{cls.__name__}.")
            if name not in cls.__members__:
                raise ValueError(
                    f"There are no weights {obj!r}; {cls.__name__} has {list(cls.__members__)}"
                )
            return cls[name]
        if obj is not None and not isinstance(obj, cls):
            raise TypeError(
                f"Invalid weights; expected {cls.__name__}, its member's name or None, "
                f"but received {obj!r}"
            )
        return obj

    def get_state_dict(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """Fetch and load them: arguments of ``hub.load_state_dict_from_url`` after the address."""
        from flambeau.hub import load_state_dict_from_url

        return load_state_dict_from_url(self.url, *args, **kwargs)

    @property
    def url(self) -> str:
        """Where they are."""
        return self.value.url

    @property
    def transforms(self) -> Callable[..., Any]:
        """What makes the transform of a picture to the model's input."""
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about them."""
        return self.value.meta

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


def published(
    name: str, module: str, num_params: int, *, default: str = "", **files: tuple[Any, ...]
) -> Any:
    """A model's enumeration of weights for ImageNet's 1000 classes.

    Args:
        name: of the enumeration.
        module: where it stands.
        num_params: elements of all parameters.
        default: the member that is the default; by default the last.
        files: of each member the file, and the sizes to which a picture's short side is scaled
            and to which its middle is cut; then perhaps a dict of further arguments of
            :class:`ImageClassification`.
    """
    members = {
        member: Weights(
            _ADDRESS + file,
            functools.partial(
                ImageClassification, crop_size=crop, resize_size=resize, **dict(*further)
            ),
            {"num_params": num_params, "num_classes": 1000},
        )
        for member, (file, resize, crop, *further) in files.items()
    }
    members["DEFAULT"] = members[default or list(files)[-1]]
    functional: Any = WeightsEnum
    return functional(name, members, module=module)


def register(
    weights_of: Any,
    loading: dict[str, Any] | None = None,
    rename: Callable[[str], str] = str,
    optional: tuple[str, ...] = (),
) -> Callable[[Callable[..., M]], Callable[..., M]]:
    """Add ``weights`` and ``progress`` to a function that builds a model, and list it.

    Args:
        weights_of: the enumeration of its weights.
        loading: the builder's arguments where weights will be loaded.
        rename: from a name in the published file to the model's.
        optional: children that the published file has, and the model may lack.
    """

    def decorate(build: Callable[..., M]) -> Callable[..., M]:
        @functools.wraps(build)
        def constructor(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> M:
            chosen = weights_of.verify(_of_pretrained(weights, kwargs))
            if chosen is None:
                return build(**kwargs)
            classes = chosen.meta["num_classes"]
            if kwargs.setdefault("num_classes", classes) != classes:
                raise ValueError(
                    f"The weights {chosen!r} are of {classes} classes, "
                    f"but num_classes is {kwargs['num_classes']}"
                )
            state = chosen.get_state_dict(progress=progress, check_hash=True)
            model = build(**{**(loading or {}), **kwargs})
            lacking = [part for part in optional if getattr(model, part) is None]
            model.load_state_dict(
                {
                    rename(key): value
                    for key, value in state.items()
                    if key.partition(".")[0] not in lacking
                }
            )
            return model

        _MODELS[build.__name__] = (constructor, weights_of)
        return constructor

    return decorate


def _of_pretrained(weights: Any, kwargs: dict[str, Any]) -> Any:
    """Of the argument that ``weights`` replaced: ``pretrained=True``."""
    if "pretrained" not in kwargs:
        return weights
    warnings.warn(
        "The parameter 'pretrained' is deprecated, please use 'weights' instead.",
        UserWarning,
        stacklevel=4,
    )
    return "IMAGENET1K_V1" if kwargs.pop("pretrained") else weights


def list_models(
    module: ModuleType | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> list[str]:
    """The names of all models, sorted.

    Args:
        module: only models that stand in this one.
        include: only those that match one of these patterns, as of a shell.
        exclude: not those that match one of these.
    """
    home = f"{module.__name__}." if module is not None else ""
    names = [
        name
        for name, (constructor, _) in _MODELS.items()
        if f"{constructor.__module__}.".startswith(home)
    ]
    if include:
        names = [name for name in names if _matches(name, include)]
    if exclude:
        names = [name for name in names if not _matches(name, exclude)]
    return sorted(names)


def _matches(name: str, patterns: Iterable[str] | str) -> bool:
    wanted = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch.fnmatch(name, pattern) for pattern in wanted)


def _entry(name: str) -> tuple[Callable[..., nn.Module], type[WeightsEnum]]:
    if name.lower() not in _MODELS:
        raise ValueError(f"Unknown model {name}; list_models() names those there are")
    return _MODELS[name.lower()]


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds a model.

    Raises:
        ValueError: there is no such model.
    """
    return _entry(name)[0]


def get_model(name: str, **config: Any) -> nn.Module:
    """Build a model by its name; ``config`` are its function's arguments.

    Raises:
        ValueError: there is no such model.
    """
    return get_model_builder(name)(**config)


def get_model_weights(name: Callable[..., nn.Module] | str) -> type[WeightsEnum]:
    """The weights of a model, given as its name or its function.

    Raises:
        ValueError: there is no such model.
    """
    return _entry(name if isinstance(name, str) else name.__name__)[1]


def get_weight(name: str) -> WeightsEnum:
    """The weights of a full name such as ``"ResNet50_Weights.IMAGENET1K_V1"``.

    Raises:
        ValueError: there are none of this name.
    """
    enumeration, _, member = name.partition(".")
    for _, weights in _MODELS.values():
        if weights.__name__ == enumeration:
            found: WeightsEnum = weights.verify(member)
            return found
    raise ValueError(f"There are no weights {name!r}")
