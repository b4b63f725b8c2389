"""The compiled core: how it is found, how its sources are written, and that nobody sees it.

What users see is tested in whichever form the core runs; ``make test-compiled`` runs it compiled.
"""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import subprocess
import sys
import textwrap
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as fb
from flambeau import compiled, nn
from flambeau.autograd.node import Node
from flambeau.compile_core import functions, texts
from flambeau.registry import OPS, all_ops
from flambeau.wrappers import facts


# ---- finding ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("variable", "sources", "expected"), [
    ("0", "right", "switched off"), ("1", None, "not built"), ("1", "wrong", "other sources"),
])
def test_only_modules_of_the_same_sources_are_used(
    variable: str, sources: str | None, expected: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if sources is not None:
        (tmp_path / "sources").write_text(compiled.fingerprint() if sources == "right" else "0")
    monkeypatch.setenv("FLAMBEAU_COMPILED", variable)
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    before = list(sys.meta_path)
    assert expected in compiled._activate()
    assert sys.meta_path == before


def test_modules_of_the_same_sources_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources").write_text(compiled.fingerprint())
    monkeypatch.setenv("FLAMBEAU_COMPILED", "1")
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    assert compiled._activate() == "in use"
    finder = sys.meta_path[0]
    spec = finder.find_spec("flambeau.tensor", None)
    assert spec is not None and Path(spec.origin or "").parent == tmp_path
    assert finder.find_spec("flambeau.random", None) is None


def test_every_compiled_module_has_a_source() -> None:
    for name in (*compiled.MODULES, *compiled.WRITERS):
        assert compiled.source_of(name).is_file()


# ---- writing ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("source", "expected"), [
    ("x._native", "(<TensorFields?>x)._native"),
    ("(a or b)._kind", "(<TensorFields?>(a or b))._kind"),
    ("t._base._requires_grad", "(<TensorFields?>(<TensorFields?>t)._base)._requires_grad"),
    ("t._storage.version += 1", "(<Storage?>(<TensorFields?>t)._storage).version += 1"),
    ("out_._seen = 0", "(<TensorFields>out_)._seen = 0"),
    ("node.shape = native.shape", "(<NodeFields?>node).shape = native.shape"),
    ("held.memo.get(key)", "look_up((<Layout?>held).memo, key)"),
    ("_new(Tensor)", "new_object(Tensor)"),
    ("if x.__class__ is int: pass", "if type(x) is int: pass"),
    ("f'{x._native}'", "f'{x._native}'"),
])
def test_casts_stand_in_front_of_fields(source: str, expected: str) -> None:
    assert texts.with_casts(source) == expected


def test_lines_stay_where_they_are() -> None:
    for name in compiled.MODULES:
        source = compiled.source_of(name).read_text(encoding="utf-8")
        written = texts.cython_source(name, source).split("\n")
        assert len(written) == source.count("\n") + 1
        for i, line in enumerate(source.split("\n")):
            if line.lstrip().startswith("def "):
                assert written[i].lstrip().startswith("def "), (name, i)


def test_each_op_of_a_call_path_is_written_once() -> None:
    text = "".join(functions.module_texts(3))
    for op in all_ops():
        assert text.count(f"\nMAKERS[{op.name!r}] = ") == (op.template in functions.TEMPLATES)


def test_the_facts_of_ops_tell_them_apart() -> None:
    assert len({facts(op) for op in all_ops()}) == len(all_ops())
    assert facts(OPS["add"]) == facts(OPS["add"])


# ---- what users see ---------------------------------------------------------------------------
def test_functions_look_like_functions() -> None:
    fb.add(fb.ones(1), 1)  # what is interpreted is written at the first call
    assert list(inspect.signature(fb.add).parameters) == ["input", "other", "alpha", "out"]
    assert fb.add.__name__ == fb.add.__qualname__ == "add"
    assert fb.add.__module__ == "flambeau.ops.pointwise"
    assert (fb.add.__doc__ or "").startswith("add(Operand self")
    assert fb.Tensor.add_.__name__ == "add_"
    assert callable(fb.ones(2).add)


def test_errors_name_the_function() -> None:
    with pytest.raises(TypeError, match=r"add\(\)"):
        fb.add(fb.ones(2))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"unsupported operand type"):
        fb.ones(2) + "a"  # type: ignore[operator]
    with pytest.raises(RuntimeError, match=r"size of tensor a \(2\)"):
        fb.ones(2) + fb.ones(3)


class Marked(fb.Tensor):
    """A subclass with an attribute of its own."""

    mark: str = "none"


def test_tensors_behave_as_objects() -> None:
    x = fb.ones(2, 3)
    x.note = "mine"
    assert x.note == "mine" and weakref.ref(x)() is x and {x: 1}[x] == 1
    for again in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert again.tolist() == x.tolist()
    sub = x.as_subclass(Marked)
    assert type(sub * 2) is Marked and sub.mark == "none"
    p = nn.Parameter(x)
    assert pickle.loads(pickle.dumps(p)).requires_grad
    with pytest.raises(AttributeError, match="no_such"):
        _ = x.no_such


def test_a_lazy_parameter_changes_its_class() -> None:
    layer = nn.LazyLinear(3)
    layer(fb.ones(2, 4))
    assert type(layer.weight) is nn.Parameter and layer.weight.shape == (3, 4)


def test_cycles_through_tensors_are_collected() -> None:
    x = fb.ones(2, requires_grad=True)
    y = x * 2
    y.self = y
    node = weakref.ref(y.grad_fn)
    assert isinstance(node(), Node)
    del y
    gc.collect()
    assert node() is None


def test_warnings_of_the_library_do_not_show() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always")
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="flambeau")
        x = fb.tensor([-1.0, 0.0, 1e30])
        for _ in range(2):
            _ = fb.log(x), 1 / x, x * x, x * 1e30, fb.exp(x), x**0.5, fb.sqrt(x)
    assert not caught
    assert np.geterr()["divide"] == "warn"


def test_warnings_name_the_line_of_the_caller() -> None:
    out = fb.ones(3)
    with pytest.warns(UserWarning, match="resized") as caught:
        fb.add(fb.ones(2), fb.ones(2), out=out)
    assert caught[0].filename == __file__
    y = fb.ones(2, requires_grad=True) * 2
    with pytest.warns(UserWarning, match="not a leaf") as caught:
        _ = y.grad
    assert caught[0].filename == __file__


def test_tracebacks_show_the_sources() -> None:
    program = """
        import traceback, flambeau as fb
        try:
            fb.ones(2, requires_grad=True).add(1).backward()
        except RuntimeError:
            text = traceback.format_exc()
        assert "engine.py" in text and "grad can be implicitly created" in text
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_threads_have_modes_of_their_own() -> None:
    import threading

    x = fb.ones(2, requires_grad=True)
    seen: list[Any] = []
    with fb.no_grad():
        thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
        assert seen == [True] and not (x * 2).requires_grad
