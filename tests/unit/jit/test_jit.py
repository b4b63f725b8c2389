"""``flambeau.jit``: what PyTorch's names do when it is told to compile nothing."""

# ruff: noqa: UP006, UP007, UP035, UP045  programs for the compiler write the old names of types

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import pytest

import flambeau as fb
from flambeau import jit, nn


@pytest.fixture
def net() -> nn.Module:
    fb.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))


def test_script_and_trace_give_what_they_are_given(net: nn.Module) -> None:
    def double(x: fb.Tensor) -> fb.Tensor:
        return x * 2

    assert jit.script(double) is double
    assert jit.script(net) is net
    assert jit.trace(net, fb.ones(1, 3)) is net
    assert jit.trace_module(net, {"forward": fb.ones(1, 3)}) is net
    assert jit.script_if_tracing(double)(fb.ones(1)).item() == 2
    assert not jit.is_scripting()
    assert not jit.is_tracing()
    with pytest.raises(AttributeError, match="dictionary"):
        jit.trace_module(net, fb.ones(1, 3))


def test_modules_written_for_the_compiler_run_and_train() -> None:
    class Net(jit.ScriptModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 1)
            self.steps: List[int] = jit.Attribute([], List[int])

        @jit.script_method
        def forward(self, x: fb.Tensor) -> fb.Tensor:
            self.steps.append(len(self.steps))
            return self.twice(self.layer(x))

        @jit.export
        def twice(self, x: fb.Tensor) -> fb.Tensor:
            return x * 2

        @jit.ignore
        def note(self) -> str:
            return "note"

        @jit.unused
        def never(self) -> str:
            return "never"

    module = jit.script(Net())
    module(fb.ones(3, 2)).sum().backward()
    assert module.layer.weight.grad.tolist() == [[6.0, 6.0]]
    assert (module.steps, module.note(), module.never()) == ([0], "note", "never")


def test_marks_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for name in ("export", "unused", "ignore"):
        ours, theirs = (getattr(lib.jit, name)(lambda: 1) for lib in (fb, torch))
        assert vars(ours) == vars(theirs)
    assert vars(jit.ignore()(lambda: 1)) == vars(torch.jit.ignore()(lambda: 1))
    with pytest.warns(FutureWarning, match="deprecated"):
        marked = jit.ignore(drop=True)(lambda: 1)
    assert "unused" in marked._torchscript_modifier
    with pytest.raises(RuntimeError, match="bool or a function"):
        jit.ignore(3)
    with pytest.raises(RuntimeError, match="must be applied to a class"):
        jit.interface(3)
    assert jit.interface(dict) is dict
    assert jit.annotate(List[int], [1]) == [1]


TYPES: list[tuple[Any, Any, bool]] = [
    ([1, 2], List[int], True),
    ([1, "a"], List[int], False),
    ({"a": 1}, Dict[str, int], True),
    ({"a": 1}, dict[int, int], False),
    ((1, "a"), Tuple[int, str], True),
    ((1,), Tuple[int, str], False),
    (None, Optional[int], True),
    ("a", Optional[int], False),
    (1, Union[int, str], True),
    (1.5, int | str, False),
    ([[1]], List[List[int]], True),
    ([None, 2], list[Optional[int]], True),
    (1, (int, str), True),
    (1, int, True),
]


@pytest.mark.parametrize(("value", "kind", "expected"), TYPES)
def test_isinstance_looks_into_containers(value: Any, kind: Any, expected: bool) -> None:
    assert jit.isinstance(value, kind) is expected
    torch = pytest.importorskip("torch")
    assert torch.jit.isinstance(value, kind) is expected


@pytest.mark.parametrize("kind", [List, list, Dict, dict, Tuple, tuple])
def test_isinstance_wants_the_types_of_items(kind: Any) -> None:
    torch = pytest.importorskip("torch")
    texts = []
    for lib in (fb, torch):
        with pytest.raises(RuntimeError, match="without .*contained type") as error:
            lib.jit.isinstance([1], kind)
        texts.append(str(error.value))
    assert texts[0] == texts[1]


@pytest.mark.filterwarnings("ignore:The inner type")
def test_isinstance_takes_an_empty_container_for_any() -> None:
    assert jit.isinstance([], List[int])


def test_isinstance_warns_of_an_empty_container() -> None:
    with pytest.warns(UserWarning, match="inner type"):
        jit.isinstance({}, Dict[str, int])


def test_fork_has_run_when_it_returns() -> None:
    future = jit.fork(lambda x, y: x + y, 1, y=2)
    assert future.done()
    assert jit.wait(future) == future.value() == 3
    assert future.then(lambda done: done.value() * 2).wait() == 6
    with pytest.raises(ValueError, match="no"):
        jit.fork(_refuse)
    with pytest.raises(TypeError, match="must be Future"):
        jit.wait(3)


def _refuse() -> None:
    raise ValueError("no")


def test_futures_pass_between_threads() -> None:
    first, second = jit.Future[int](), jit.Future[int]()
    both = fb.futures.collect_all([first, second])
    later = first.then(lambda done: done.wait() + 1)
    assert not both.done()
    with pytest.raises(RuntimeError, match="not completed"):
        first.value()
    threads = [
        threading.Thread(target=f.set_result, args=(i,)) for i, f in enumerate((first, second))
    ]
    for thread in threads:
        thread.start()
    assert fb.futures.wait_all([first, second]) == [0, 1]
    assert [f.value() for f in both.wait()] == [0, 1]
    assert later.wait() == 1
    for thread in threads:
        thread.join()
    with pytest.raises(RuntimeError, match="once"):
        first.set_result(3)
    broken = jit.Future[int]()
    broken.set_exception(KeyError("k"))
    with pytest.raises(KeyError):
        broken.then(lambda done: done.value()).wait()
    assert fb.futures.collect_all([]).done()


def test_freezing_takes_a_copy_without_gradients(net: nn.Module) -> None:
    with pytest.raises(RuntimeError, match="training mode"):
        jit.freeze(net)
    with pytest.raises(RuntimeError, match="expects a module"):
        jit.freeze(3)
    ready = jit.optimize_for_inference(net)
    assert not ready.training
    assert net.training
    x = fb.randn(5, 3)
    assert fb.equal(ready(x), net.eval()(x))
    assert not ready(x).requires_grad
    assert all(p.requires_grad for p in net.parameters())
    with pytest.raises(RuntimeError, match="unable to preserve 'nothing'"):
        jit.freeze(net, preserved_attrs=["nothing"])


def test_a_module_comes_back_from_a_file(net: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    jit.save(net.eval(), path, _extra_files={"note.txt": "hello"})
    extra: dict[str, Any] = {"note.txt": "", "other": ""}
    loaded = jit.load(path, map_location="cpu", _extra_files=extra)
    x = fb.randn(5, 3)
    assert fb.equal(loaded(x), net(x))
    assert extra == {"note.txt": b"hello", "other": ""}
    held = io.BytesIO()
    jit.save(net, held)
    held.seek(0)
    assert fb.equal(jit.load(held)(x), net(x))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        jit.load(tmp_path / "none.pt")
    (tmp_path / "text").write_text("text")
    with pytest.raises(RuntimeError, match="not a file that flambeau.jit.save"):
        jit.load(tmp_path / "text")
    with pytest.raises(TypeError, match="must be Module"):
        jit.save(3, tmp_path / "three")
    torch = pytest.importorskip("torch")
    held = io.BytesIO()
    torch.save({"a": torch.ones(2)}, held)
    held.seek(0)
    with pytest.raises(RuntimeError, match="TorchScript"):
        jit.load(held)


def test_texts_become_functions() -> None:
    unit = jit.CompilationUnit("""
        def shifted(x: Tensor, by: Optional[float] = None) -> Tensor:
            return x if by is None else torch.add(x, by)
    """)
    assert unit.shifted(fb.zeros(2), 1.5).tolist() == [1.5, 1.5]
    unit.define("def twice(x): return shifted(x) * 2")
    assert unit.twice(fb.ones(1)).item() == 2
    assert [f.__name__ for f in unit.get_functions()] == ["shifted", "twice"]
    assert unit.find_function("none") is None
    with pytest.raises(AttributeError, match="has no attribute 'none'"):
        _ = unit.none
    unit.drop_all_functions()
    assert unit.get_functions() == []


def test_settings_are_remembered() -> None:
    before = jit.set_fusion_strategy([("DYNAMIC", 3)])
    assert jit.set_fusion_strategy(before) == [("DYNAMIC", 3)]
    with pytest.raises(ValueError, match="only supported 'STATIC' or 'DYNAMIC'"):
        jit.set_fusion_strategy([("OTHER", 1)])
    assert not jit.onednn_fusion_enabled()
    jit.enable_onednn_fusion(True)
    assert jit.onednn_fusion_enabled()
    jit.enable_onednn_fusion(False)
    with pytest.warns(UserWarning, match="script mode"), jit.strict_fusion():
        pass


def test_flambeau_is_imported_without_it() -> None:
    code = "import sys, flambeau; assert 'flambeau.jit' not in sys.modules; flambeau.jit.script"
    subprocess.run([sys.executable, "-c", code], check=True)
