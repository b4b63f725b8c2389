"""The restricted interpreter of pickles: makes what is allowed, and imports nothing.

Names become values by a table, calls go to constructors that check their arguments, and only
dicts, lists and sets that the pickle itself made are written to.
"""

from __future__ import annotations

import io
import pickletools
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from flambeau.serialization import names, rebuild
from flambeau.serialization.errors import CheckpointError, call_user
from flambeau.serialization.options import find_safe

_BLOCKED: Final = frozenset({"sys", "os", "posix", "nt", "builtins", "subprocess"})
"""Modules of which the user cannot allow anything."""


class Machine:
    """Runs one pickle.

    Args:
        load_persistent: makes what a persistent id names.
    """

    def __init__(self, load_persistent: Callable[[Any], Any]) -> None:
        self.load_persistent = load_persistent
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.user_made: set[int] = set()  # ids of what the user's classes made

    def run(self, data: Any) -> Any:
        """The value of a pickle.

        Args:
            data: its bytes, or a file that is read up to its end.

        Raises:
            CheckpointError: for what is not allowed.
        """
        file: Any = io.BytesIO(data) if isinstance(data, bytes) else data
        read, table = file.read, _TABLE
        while (code := read(1)) != b".":
            found = table.get(code)
            if found is None:
                raise CheckpointError(
                    f"the pickle uses the opcode {code!r}, which no checkpoint does"
                    if code else "the pickle ends too early")
            step, reader = found
            step(self, None if reader is None else reader(file))
        if len(self.stack) != 1 or self.marks:
            raise CheckpointError("the pickle ends with other than one value")
        return self.stack[0]

    # ---- stack ---------------------------------------------------------------------------
    def _push(self, value: Any) -> None:
        self.stack.append(value)

    def _mark(self, argument: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _push_after_mark(self, kind: Callable[[list[Any]], Any]) -> None:
        items = self._since_mark()
        self.stack.append(kind(items))

    def _put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _memoize(self, argument: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def _tuple(self, count: int) -> None:
        items = self.stack[len(self.stack) - count :]
        if len(items) != count:
            raise CheckpointError("the pickle takes more from its stack than there is")
        del self.stack[len(self.stack) - count :]
        self.stack.append(tuple(items))

    # ---- containers ----------------------------------------------------------------------
    def _append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise CheckpointError(f"items are appended to a {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter):
            raise CheckpointError(f"items are set of a {type(target).__name__}")
        if len(items) % 2:
            raise CheckpointError("a key comes without a value")
        for i in range(0, len(items), 2):
            target[rebuild.key_of(items[i])] = items[i + 1]

    def _add_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not set:
            raise CheckpointError(f"items are added to a {type(self.stack[-1]).__name__}")
        self.stack[-1].update(rebuild.key_of(item) for item in items)

    # ---- objects -------------------------------------------------------------------------
    def _global(self, argument: str) -> None:
        self.stack.append(self._find(argument))

    def _stack_global(self, argument: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise CheckpointError("a name is no text")
        self.stack.append(self._find(f"{module}.{name}"))

    def _find(self, name: str) -> Any:
        found = names.find(name)
        if found is None and name.partition(".")[0] not in _BLOCKED:
            found = find_safe(name)
        if found is None:
            raise CheckpointError(
                f"Weights only load failed: the file refers to {name}, which is not allowed by "
                "default. If you trust it, allow it with "
                f"`flambeau.serialization.add_safe_globals([{name.rpartition('.')[2]}])` or the "
                "`safe_globals` context manager; or, if you trust the whole file to run any code, "
                "load it with weights_only=False.")
        return found

    def _reduce(self, argument: Any) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        if type(args) is not tuple:
            raise CheckpointError(f"a call has a {type(args).__name__} of arguments")
        self.stack.append(self._call(function, args))

    def _call(self, function: Any, args: tuple[Any, ...]) -> Any:
        build = rebuild.CONSTRUCTORS.get(function) if callable(function) else None
        if build is not None:
            return build(*args)
        if not self._is_of_user(function):
            raise CheckpointError(f"the pickle calls {str(function)[:80]}, which it may not")
        return self._mine(call_user(function, *args))

    def _new(self, argument: Any) -> None:
        args, cls = self.stack.pop(), self.stack.pop()
        if type(args) is not tuple or not isinstance(cls, type) or not self._is_of_user(cls):
            raise CheckpointError(f"the pickle makes a {str(cls)[:80]}, which it may not")
        self.stack.append(self._mine(call_user(cls.__new__, cls, *args)))

    def _is_of_user(self, value: Any) -> bool:
        from flambeau.serialization.options import _safe

        return any(value is given for given in _safe.values())

    def _mine(self, value: Any) -> Any:
        self.user_made.add(id(value))
        self.memo[-len(self.user_made)] = value  # alive, so that its id stays its own
        return value

    def _build(self, argument: Any) -> None:
        state = self.stack.pop()
        value = self.stack[-1]
        if type(value) is OrderedDict:
            if type(state) is not dict or not all(type(key) is str for key in state):
                raise CheckpointError("the attributes of an ordered dict are no dict of names")
            value.__dict__.update(state)
        elif type(value) is np.ndarray or isinstance(value, np.dtype):
            rebuild.set_numpy_state(value, state)
        elif type(value).__name__ == "Generator" and type(state) is tuple:
            _set_generator_state(value, state)
        elif id(value) in self.user_made:
            call_user(_set_state, value, state)
        else:
            raise CheckpointError(f"the pickle changes a {type(value).__name__}, which it may not")

    def _persistent(self, argument: Any) -> None:
        self.stack.append(self.load_persistent(self.stack.pop()))


def _set_generator_state(value: Any, state: tuple[Any, ...]) -> None:
    from flambeau.random import Generator

    if not isinstance(value, Generator) or len(state) != 3:
        raise CheckpointError("a malformed state of a generator of random numbers")
    try:
        value.set_state(state[2])
    except RuntimeError as error:
        raise CheckpointError(str(error)) from None


def _set_state(value: Any, state: Any) -> None:
    """What pickle does with the state of an object."""
    if hasattr(value, "__setstate__"):
        value.__setstate__(state)
        return
    attributes, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
    if attributes:
        value.__dict__.update(attributes)
    for name, item in (slots or {}).items():
        setattr(value, name, item)


def _steps() -> dict[str, Callable[[Machine, Any], None]]:
    m = Machine
    literals = (
        "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE",
        "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
        "SHORT_BINSTRING", "BINSTRING")
    return {
        **dict.fromkeys(literals, m._push),
        **dict.fromkeys(("PROTO", "FRAME"), lambda self, a: None),
        **dict.fromkeys(("BINPUT", "LONG_BINPUT"), m._put), "MEMOIZE": m._memoize,
        **dict.fromkeys(("BINGET", "LONG_BINGET"), m._get),
        "NONE": lambda self, a: self._push(None),
        "NEWTRUE": lambda self, a: self._push(True),
        "NEWFALSE": lambda self, a: self._push(False),
        "EMPTY_TUPLE": lambda self, a: self._push(()),
        "EMPTY_LIST": lambda self, a: self._push([]),
        "EMPTY_DICT": lambda self, a: self._push({}),
        "EMPTY_SET": lambda self, a: self._push(set()),
        "MARK": m._mark,
        "TUPLE": lambda self, a: self._push_after_mark(tuple),
        "LIST": lambda self, a: self._push_after_mark(list),
        "TUPLE1": lambda self, a: self._tuple(1), "TUPLE2": lambda self, a: self._tuple(2),
        "TUPLE3": lambda self, a: self._tuple(3),
        "APPEND": lambda self, a: self._append([self.stack.pop()]),
        "APPENDS": lambda self, a: self._append(self._since_mark()),
        "SETITEM": lambda self, a: self._set_items(_last_two(self.stack)),
        "SETITEMS": lambda self, a: self._set_items(self._since_mark()),
        "ADDITEMS": lambda self, a: self._add_items(self._since_mark()),
        "GLOBAL": m._global, "STACK_GLOBAL": m._stack_global, "REDUCE": m._reduce,
        "NEWOBJ": lambda self, a: self._new(a), "BUILD": lambda self, a: self._build(a),
        "BINPERSID": m._persistent,
    }


def _last_two(stack: list[Any]) -> list[Any]:
    value, key = stack.pop(), stack.pop()
    return [key, value]


def _table() -> dict[bytes, tuple[Callable[[Machine, Any], None], Callable[[Any], Any] | None]]:
    """What each opcode does, and how its argument is read: Python's own description of pickles."""
    steps = _steps()
    readers: dict[str, Any] = {
        code.name: code.arg and code.arg.reader for code in pickletools.opcodes}
    readers["GLOBAL"] = _read_name  # pickletools' own undoes escapes, which names do not have
    return {
        code.code.encode("latin-1"): (steps[code.name], readers[code.name])
        for code in pickletools.opcodes if code.name in steps}


def _read_name(file: Any) -> str:
    lines = file.readline(), file.readline()
    if not all(line.endswith(b"\n") for line in lines):
        raise CheckpointError("the pickle ends within a name")
    return b".".join(line[:-1] for line in lines).decode("utf-8")


_TABLE: Final = _table()
