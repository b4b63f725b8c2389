"""Recording: which calls are seen, how they nest, and what is noted of them."""

from __future__ import annotations

import threading

import pytest

import flambeau as fb
from flambeau import modes, nn
from flambeau.autograd.node import Watch
from flambeau.data import iterator
from flambeau.modes import ACTIVE
from flambeau.profiler import ProfilerAction, ProfilerActivity, profile, record_function, schedule


def counts(p):
    return {e.key: e.count for e in p.key_averages()}


def names(p):
    return [e.name for e in p.events()]


def test_a_training_step_forward_backward_and_update():
    m = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    optimizer = fb.optim.SGD(m.parameters(), lr=0.1)
    with profile() as p, record_function("step"):
        m(fb.ones(4, 3)).sum().backward()
        optimizer.step()
    found = counts(p)
    for name in (
        "step", "aten::linear", "aten::relu", "aten::sum", "SumBackward0", "ReluBackward0",
        "LinearBackward0", "autograd::engine::evaluate_function: LinearBackward0",
        "aten::threshold_backward", "Optimizer.step#SGD.step",
    ):
        assert found[name] == 1, name
    by_name = {e.name: e for e in p.events()}
    backward = by_name["aten::threshold_backward"]
    assert backward.cpu_parent.name == "ReluBackward0"
    assert backward.cpu_parent.cpu_parent.cpu_parent is by_name["step"]
    assert by_name["step"].is_user_annotation and not backward.is_user_annotation


def test_times_nest():
    with profile() as p, record_function("outer"):
        fb.nn.functional.cosine_similarity(fb.ones(2, 3), fb.ones(2, 3))
    for event in p.events():
        inner = sum(c.cpu_time_total for c in event.cpu_children)
        assert 0 <= inner <= event.cpu_time_total + 1e-6
        assert event.self_cpu_time_total == pytest.approx(event.cpu_time_total - inner)
        for child in event.cpu_children:
            assert event.start_us <= child.start_us <= child.end_us <= event.end_us
    total = p.events().self_cpu_time_total
    assert total == pytest.approx(p.events()[0].cpu_time_total)
    assert p.key_averages().self_cpu_time_total == pytest.approx(total)
    assert len(p.events()[0].cpu_children) == 1 and len(p.events()) > 2


def test_calls_in_place_stay_in_place():
    x = fb.zeros(3)
    before = x.data_ptr() if hasattr(x, "data_ptr") else None
    with profile() as p:
        y = x.add_(1)
        x[0] = 5.0
        x.copy_(fb.ones(3) * 2)
    assert y is x and x.tolist() == [2.0, 2.0, 2.0]
    assert before is None or x.data_ptr() == before
    found = counts(p)
    assert found["aten::add_"] == 1 and found["aten::copy_"] >= 1 and "aten::add" not in found
    leaf = fb.ones(2, requires_grad=True)
    with profile():
        z = leaf * 2
        z.mul_(leaf)
        z.sum().backward()
    assert leaf.grad.tolist() == [4.0, 4.0]


def test_results_under_autocast_are_the_same_inside_and_outside():
    a = fb.ones(2, 2)
    for outer, inner in (
        (profile(), fb.autocast("cpu")), (fb.autocast("cpu"), profile()),
    ):
        with outer as first, inner as second:
            out = nn.functional.bilinear(a, a, fb.ones(2, 2, 2))
            assert (a @ a).dtype is fb.bfloat16
        p = first if isinstance(first, profile) else second
        assert counts(p)["aten::matmul"] >= 1
    with fb.autocast("cpu"):
        assert nn.functional.bilinear(a, a, fb.ones(2, 2, 2)).dtype is out.dtype


def test_shapes_types_and_values():
    with profile(record_shapes=True) as p:
        fb.cat([fb.ones(2, 3), fb.zeros(1, 3)]).add(2, alpha=3)
    by_name = {e.name: e for e in p.events()}
    assert by_name["aten::cat"].input_shapes == [[[2, 3], [1, 3]], []]
    assert by_name["aten::cat"].input_types[0] == "TensorList"
    added = by_name["aten::add"]
    assert added.input_shapes == [[3, 3], [], []]
    assert added.input_types == ["float32", "Scalar", "Scalar"]
    assert added.concrete_inputs == ["", "2", "3"]
    groups = p.key_averages(group_by_input_shape=True)
    assert [e.count for e in groups if e.key == "aten::add"] == [1]


def test_memory_is_the_pool_s():
    if not fb.cpu.memory_stats():
        pytest.skip("the CPU's memory comes from no pool")
    fb.cpu.empty_cache()  # or a larger block that is free is taken
    x = fb.ones(256, 1024)
    nbytes = 256 * 1024 * 4
    with profile(profile_memory=True) as p, record_function("whole"):
        y = x * 2
        del y
        z = x + 1
    by_name = {e.name: e for e in p.events()}
    assert by_name["aten::mul"].cpu_memory_usage == nbytes
    whole = by_name["whole"]
    assert whole.cpu_memory_usage == nbytes and whole.self_cpu_memory_usage == -nbytes
    assert z.shape == x.shape


def test_operations_are_counted():
    a, b = fb.ones(2, 3), fb.ones(3, 4)
    with profile(with_flops=True) as p:
        a @ b
        a * a
        nn.functional.conv2d(fb.ones(1, 2, 4, 4), fb.ones(3, 2, 2, 2))
        a.sum()
    flops = {e.key: e.flops for e in p.key_averages()}
    assert flops["aten::matmul"] == 2 * 2 * 3 * 4 and flops["aten::mul"] == 6
    assert flops["aten::convolution"] == 2 * 27 * 8 and flops["aten::sum"] == 0


def test_callers_are_the_user_s_lines():
    def inner():
        return fb.ones(2) + 1

    with profile(with_stack=True) as p:
        inner()
    (added,) = (e for e in p.events() if e.name == "aten::add")
    assert added.stack[0].endswith(": inner") and __file__ in added.stack[0]
    assert not any("flambeau/profiler" in line for line in added.stack)


def test_batches_of_a_loader():
    loader = fb.data.DataLoader([1, 2, 3], batch_size=2)
    with profile() as p:
        batches = list(loader)
    assert len(batches) == 2
    assert counts(p)["enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"] == 3


def test_errors_end_events():
    x = fb.ones(2)
    with profile() as p:
        with pytest.raises(RuntimeError), record_function("fails"):
            x @ fb.ones(3)
        x + x
    by_name = {e.name: e for e in p.events()}
    assert by_name["aten::add"].cpu_parent is None
    assert by_name["fails"].end_us <= by_name["aten::add"].start_us


def test_nothing_is_left_behind():
    x = fb.ones(2, requires_grad=True)
    with pytest.raises(KeyError), profile():
        raise KeyError
    assert not ACTIVE and Watch.run is None and iterator.Watch.next is None
    with record_function("unseen"):
        (x * 2).sum().backward()

    @record_function("decorated")
    def double(x):
        return x * 2

    with profile() as p:
        double(x)
    assert names(p) == ["decorated", "aten::mul"]
    with profile() as p, pytest.raises(RuntimeError, match="already enabled"):
        profile().start()


def test_a_profiler_belongs_to_its_thread():
    x = fb.ones(2, requires_grad=True)
    with profile() as p:
        thread = threading.Thread(target=lambda: (x * x).sum().backward())
        thread.start()
        thread.join()
    assert names(p) == [] and x.grad.tolist() == [2.0, 2.0]


def test_activities():
    with pytest.warns(UserWarning, match="CUDA is not available, disabling CUDA profiling"):
        p = profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU])
    with p:
        fb.ones(2) + 1
    assert "aten::add" in counts(p)
    with pytest.raises(AssertionError, match="No valid profiler activities"):
        profile(activities=[])
    with pytest.raises(AssertionError, match="must be initialized before accessing events"):
        profile().events()
    with pytest.raises(AssertionError, match="must be initialized before getting key averages"):
        profile().key_averages()


# ---- plans -------------------------------------------------------------------------------------
@pytest.mark.parametrize("settings", [
    {"wait": 1, "warmup": 1, "active": 2, "repeat": 2, "skip_first": 1},
    {"wait": 1, "warmup": 1, "active": 2, "skip_first": 1, "skip_first_wait": 1},
    {"wait": 0, "warmup": 1, "active": 1}, {"wait": 2, "warmup": 2, "active": 3, "repeat": 1},
])
def test_plans_are_pytorch_s(settings):
    torch = pytest.importorskip("torch")
    ours, theirs = schedule(**settings), torch.profiler.schedule(**settings)
    assert [ours(i).name for i in range(20)] == [theirs(i).name for i in range(20)]


def test_plans_that_make_no_sense():
    with pytest.raises(AssertionError, match="wait=-1"):
        schedule(wait=-1, warmup=0, active=1)
    with pytest.raises(AssertionError, match="active=0"):
        schedule(wait=0, warmup=0, active=0)
    with pytest.raises(AssertionError, match="Step must be non-negative"):
        schedule(wait=0, warmup=1, active=1)(-1)
    with pytest.warns(UserWarning, match="won't be using warmup"):
        assert schedule(wait=0, warmup=0, active=1)(0) is ProfilerAction.RECORD_AND_SAVE


@pytest.mark.parametrize(("keeps", "expected"), [(False, [2, 2]), (True, [2, 4])])
def test_cycles(keeps, expected):
    seen = []

    def ready(p):
        seen.append((p.step_num, counts(p)))

    x = fb.ones(2)
    with profile(
        schedule=schedule(wait=1, warmup=1, active=2, repeat=2), on_trace_ready=ready,
        acc_events=keeps,
    ) as p:
        for _ in range(9):
            x + 1
            p.step()
    assert [step for step, _ in seen] == [4, 8]
    assert [found["aten::add"] for _, found in seen] == expected
    assert [found["ProfilerStep*"] for _, found in seen] == expected


def test_a_cycle_that_is_cut_short_is_ready_at_the_end():
    seen = []
    plan = schedule(wait=0, warmup=1, active=5)
    with profile(schedule=plan, on_trace_ready=lambda p: seen.append(names(p))) as p:
        p.step()
        fb.ones(1)
    assert len(seen) == 1 and seen[0][0] == "ProfilerStep#1"


# ---- the older interface -----------------------------------------------------------------------
def test_the_older_interface(tmp_path):
    with fb.autograd.profiler.profile(record_shapes=True) as p:
        with fb.autograd.profiler.record_function("named"):
            fb.ones(2) + 1
        with pytest.raises(RuntimeError, match="didn't finish running"):
            p.key_averages()
    assert p.function_events[0].name == "named"
    assert "aten::add" in p.key_averages().table() and "aten::add" in str(p)
    assert "aten::add" in p.table(sort_by="cpu_time_total", row_limit=5)
    assert p.total_average().count == len(p.function_events)
    assert p.self_cpu_time_total == pytest.approx(p.function_events.self_cpu_time_total)
    p.export_chrome_trace(str(tmp_path / "trace.json"))
    with fb.autograd.profiler.profile(enabled=False) as p:
        fb.ones(2) + 1
    assert p.function_events is None and "unfinished" in str(p)


def test_modes_are_not_kept_alive():
    with profile():
        fb.ones(2) + 1
    assert modes._stack.whole == () and modes.stacked() == ()
