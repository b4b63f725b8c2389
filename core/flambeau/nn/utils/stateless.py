"""Calling a module with other parameters than its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flambeau.nn.modules.module import Module
from flambeau.tensor import Tensor

__all__ = ["functional_call"]


def functional_call(
    module: Module, parameters_and_buffers: Any, args: Any = None,
    kwargs: dict[str, Any] | None = None, *, tie_weights: bool = True, strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with some of its parameters and buffers replaced for the call.

    Args:
        parameters_and_buffers: tensors by dotted name, or a sequence of such dicts.
        args: a tuple; anything else is the only argument.
        tie_weights: a parameter that is in several places is replaced in all of them.
        strict: the names must be all that the module has; else those that it lacks are ignored.

    Raises:
        RuntimeError: for names that do not fit if ``strict``.
        ValueError: if tied parameters are given different values.
    """
    if isinstance(parameters_and_buffers, dict):
        given = dict(parameters_and_buffers)
    else:
        given = {}
        for part in parameters_and_buffers:
            repeated = given.keys() & part.keys()
            if repeated:
                raise ValueError(
                    f"{sorted(repeated)} appeared in multiple dictionaries; behavior of functional "
                    "call is ambiguous")
            given.update(part)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, given, tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


def _places(module: Module) -> dict[str, tuple[Any, str]]:
    """Dotted names, and the table and key where each tensor is held."""
    places: dict[str, tuple[Any, str]] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        for table in (part._parameters, part._buffers):
            for name in table:
                places[prefix + name] = (table, name)
    return places


@contextmanager
def _replaced(
    module: Module, given: dict[str, Tensor], tie_weights: bool, strict: bool
) -> Iterator[None]:
    places = _places(module)
    if tie_weights:
        given = _with_tied(places, given)
    if strict:
        _check_names(module, places, given)
    before: list[tuple[Any, str, Any]] = []
    try:
        for name, value in given.items():
            if name in places:
                table, key = places[name]
                before.append((table, key, table[key]))
                table[key] = value
        yield
    finally:
        for table, key, value in reversed(before):
            table[key] = value


def _with_tied(
    places: dict[str, tuple[Any, str]], given: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The values with those of names that stand for the same tensor added."""
    names_of: dict[int, list[str]] = {}
    for name, (table, key) in places.items():
        if table[key] is not None:
            names_of.setdefault(id(table[key]), []).append(name)
    complete = dict(given)
    for names in names_of.values():
        values = [given[n] for n in names if n in given]
        if len({id(v) for v in values}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(names)}, which are tied. "
                "Consider using tie_weights=False")
        for name in names if values else ():
            complete[name] = values[0]
    return complete


def _check_names(module: Module, places: Any, given: Any) -> None:
    missing, unexpected = places.keys() - given.keys(), given.keys() - places.keys()
    if not missing and not unexpected:
        return
    words = []
    for what, names in (("Unexpected", unexpected), ("Missing", missing)):
        if names:
            words.append(f"{what} key(s): {', '.join(map(repr, sorted(names)))}.")
    raise RuntimeError(
        f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(words))
