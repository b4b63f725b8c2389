"""Programs are run in processes of their own: the hook is for a whole process."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest


def run(tmp_path, program, *options, environment=None, args=()):
    path = tmp_path / "program.py"
    path.write_text(dedent(program))
    done = subprocess.run(
        [sys.executable, "-m", "flambeau.as_torch", *options, str(path), *args],
        capture_output=True, text=True, timeout=120, env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_training_script(tmp_path):
    program = """
    import sys
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    from torch.optim.lr_scheduler import StepLR
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    x = torch.randn(64, 3)
    loader = DataLoader(TensorDataset(x, (x.sum(1) > 0).long()), batch_size=16, shuffle=True)
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    scheduler = StepLR(optimizer, 5)
    for epoch in range(int(sys.argv[1])):
        for data, target in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data), target)
            loss.backward()
            optimizer.step()
        scheduler.step()
    print(loss.item() < 0.3, type(model).__module__, __name__)
    """
    assert run(tmp_path, program, args=["8"]) == ["True flambeau.nn.modules.container __main__"]


def test_names_that_are_here_are_the_same_objects(tmp_path):
    program = """
    import flambeau as fb
    import torch
    import torch.nn.functional
    from torch.nn import Module
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.conv import Conv2d
    from torch.utils.data.dataloader import DataLoader
    import torchvision.transforms
    from torchvision.models import resnet18

    print(torch.Tensor is fb.Tensor, Module is fb.nn.Module, Conv2d is fb.nn.Conv2d)
    print(issubclass(torch.nn.BatchNorm1d, _BatchNorm), DataLoader is fb.data.DataLoader)
    print(torch.nn.functional.relu is fb.nn.functional.relu)
    print(torchvision.transforms.Compose is fb.vision.transforms.Compose)
    print(resnet18 is fb.vision.models.resnet18 is torchvision.models.resnet18)
    torch.nn.functional.relu = abs
    print(fb.nn.functional.relu is abs)
    """
    assert run(tmp_path, program) == ["True True True", "True True", *["True"] * 4]


def test_what_is_missing_raises_when_it_is_used_and_not_before(tmp_path):
    program = """
    import torch
    import torch.distributed as dist
    from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
    from torch.distributed._tensor import anything
    from torch.quantization import quantize_dynamic

    class Mine(FSDP):
        pass

    print(dist.is_available(), isinstance(3, FSDP), bool(anything))
    for use in (lambda: FSDP(1), Mine, lambda: quantize_dynamic(None), lambda: anything.inner()):
        try:
            use()
        except NotImplementedError as error:
            print(error)
    for name in ("nosuch", "_nosuch"):
        try:
            getattr(torch, name)
        except AttributeError as error:
            print(error)
    try:
        import torch.nosuch
    except ModuleNotFoundError as error:
        print(error)
    """
    where = "is not in flambeau: docs/parity.md of flambeau lists what there is"
    fsdp = "torch.distributed.fsdp.FullyShardedDataParallel"
    assert run(tmp_path, program) == [
        "False False False", f"{fsdp} {where}", f"{fsdp} {where}",
        f"torch.quantization.quantize_dynamic {where}",
        f"torch.distributed._tensor.anything.inner {where}",
        "module 'torch' has no attribute 'nosuch'", "module 'torch' has no attribute '_nosuch'",
        "No module named 'torch.nosuch'",
    ]


def test_what_libraries_ask(tmp_path):
    program = """
    import importlib.metadata
    import importlib.util
    import torch
    from torch.utils import _pytree as pytree

    print(importlib.metadata.version("torch"), torch.__version__, torch.version.cuda)
    print(torch.__version__ >= (2, 0), torch.__version__ < "2.9.1", torch.__version__ > "2.9")
    print(importlib.util.find_spec("torch") is not None, importlib.util.find_spec("tensorflow"))
    print(torch.float32, torch.Size([2]), torch.ones(1).type(), torch.channels_last, torch.strided)
    print(torch.cuda.is_available(), torch.cuda.device_count(), torch.backends.mps.is_available())
    torch.cuda.manual_seed_all(0)
    torch.backends.cudnn.benchmark = True
    print(torch.backends.cudnn.benchmark, torch.accelerator.is_available())
    with torch.backends.cudnn.flags(enabled=False):
        print(torch.backends.cudnn.enabled)
    print(torch.backends.cudnn.enabled, torch.compile(abs) is abs, torch.compiler.is_compiling())
    print(isinstance(torch.ones(1), torch.FloatTensor), torch.FloatTensor([1]))
    print(torch.autograd.Variable(torch.ones(2), requires_grad=True).requires_grad)
    tree = {"a": (1, [2, 3]), "b": 4}
    leaves, spec = pytree.tree_flatten(tree)
    print(leaves, pytree.tree_unflatten(leaves, spec) == tree, spec.num_leaves)
    print(pytree.tree_map(lambda x: -x, tree))
    """
    assert run(tmp_path, program) == [
        "2.13.0 2.13.0 None", "True False True", "True None",
        "torch.float32 torch.Size([2]) torch.FloatTensor torch.channels_last torch.strided",
        "False 0 False", "True False", "False", "True True False", "True tensor([1.])", "True",
        "[1, 2, 3, 4] True 4", "{'a': (-1, [-2, -3]), 'b': -4}",
    ]


def test_devices_are_mapped_when_asked_for(tmp_path):
    program = """
    import torch
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x = torch.ones(2).cuda().to(device)
    torch.cuda.synchronize()
    print(x.device, torch.cuda.is_available(), torch.cuda.get_device_name() != "")
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record(); x + x; end.record()
    print(start.elapsed_time(end) >= 0)
    """
    assert run(tmp_path, program, "--map", "cuda=cpu") == ["cpu True True", "True"]
    asked = {"FLAMBEAU_MAP": "cuda=meta"}
    assert run(tmp_path, program, environment=asked)[0].startswith("meta")


def test_the_default_device(tmp_path):
    program = "import torch; print(torch.ones(2).device, torch.nn.Linear(2, 2).weight.device)"
    assert run(tmp_path, program, "--device", "meta") == ["meta meta"]
    assert run(tmp_path, program, environment={"FLAMBEAU_DEVICE": "meta"}) == ["meta meta"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_have_the_hook(tmp_path, method):
    program = f"""
    import torch
    import torch.multiprocessing as mp
    from torch.utils.data import DataLoader, Dataset

    class Squares(Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return torch.tensor(index) ** 2

    def work(rank, queue):
        queue.put((rank, torch.ones(2) * rank, str(torch.float32)))

    if __name__ == "__main__":
        queue = mp.get_context("{method}").Queue()
        mp.spawn(work, (queue,), nprocs=2, start_method="{method}")
        print(sorted((rank, t.tolist(), name) for rank, t, name in [queue.get(), queue.get()]))
        loader = DataLoader(Squares(), batch_size=2, num_workers=1,
                            multiprocessing_context="{method}")
        print([batch.tolist() for batch in loader])
    """
    assert run(tmp_path, program) == [
        "[(0, [0.0, 0.0], 'torch.float32'), (1, [1.0, 1.0], 'torch.float32')]",
        "[[0, 1], [4, 9]]",
    ]


def test_a_process_that_fails_is_reported(tmp_path):
    program = """
    import torch.multiprocessing as mp

    def work(rank):
        if rank == 1:
            raise ValueError("rank one fails")

    if __name__ == "__main__":
        try:
            mp.spawn(work, nprocs=2, start_method="fork")
        except mp.ProcessRaisedException as error:
            print(error.error_index, "rank one fails" in str(error))
    """
    assert run(tmp_path, program) == ["1 True"]


def test_a_module_by_name(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "tool.py").write_text(
        "import sys, torch\nprint(torch.ones(1).item(), sys.argv[1:], __name__)\n")
    done = subprocess.run(
        [sys.executable, "-m", "flambeau.as_torch", "-m", "package.tool", "--flag", "1"],
        capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.stdout == "1.0 ['--flag', '1'] __main__\n", done.stderr


def test_installing_and_undoing_it():
    program = """
    import sys
    from flambeau import as_torch
    import flambeau as fb
    as_torch.install(device_map={"cuda": "cpu"})
    import torch
    assert torch.device("cuda").type == "cpu" and str(fb.float32) == "torch.float32"
    as_torch.install()
    as_torch.uninstall()
    as_torch.uninstall()
    assert str(fb.float32) == "flambeau.float32" and "torch" not in sys.modules
    assert fb.device("cuda").type == "cuda" and not as_torch.is_installed()
    sys.modules["torch"] = sys
    try:
        as_torch.install()
    except RuntimeError as error:
        print("has been imported already" in str(error))
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.parametrize("text", ["cuda", "cuda=", "=cpu", "a=b=c"])
def test_a_map_that_is_none(text):
    done = subprocess.run(
        [sys.executable, "-c", "import flambeau.as_torch as a; a.install()"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "FLAMBEAU_MAP": text})
    assert "is not a list like cuda=opencl,mps=cpu" in done.stderr


def test_a_mode_sees_calls(tmp_path):
    program = """
    import torch
    from torch.overrides import TorchFunctionMode, is_tensor_like

    class Log(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            print(func.__name__)
            return func(*args, **(kwargs or {}))

    x = torch.ones(2)
    with Log():
        y = torch.relu(x) + 1
    print(y.tolist(), is_tensor_like(y), is_tensor_like(3))
    """
    assert run(tmp_path, program) == ["relu", "add", "[2.0, 2.0] True False"]


def test_a_custom_operator(tmp_path):
    program = """
    import torch

    @torch.library.custom_op("mine::cube", mutates_args=())
    def cube(x: torch.Tensor) -> torch.Tensor:
        return x.detach() ** 3

    @cube.register_fake
    def _(x):
        return torch.empty_like(x)

    def keep(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * 3 * x**2

    cube.register_autograd(backward, setup_context=keep)
    x = torch.tensor([2.0], requires_grad=True)
    y = cube(x)
    y.backward()
    print(y.item(), x.grad.item(), cube(torch.empty(2, device="meta")).shape)
    """
    assert run(tmp_path, program) == ["8.0 12.0 torch.Size([2])"]


def test_modules_that_stand_elsewhere(tmp_path):
    program = """
    import flambeau as fb
    from torch.utils.data import functional_datapipe
    from torch.utils.data.dataloader import default_collate
    from torch.utils.data.datapipes.iter import Batcher, IterableWrapper
    from torch.utils.data.dataset import Subset
    from torch.utils.data.sampler import BatchSampler

    print(Subset is fb.data.Subset, BatchSampler is fb.data.BatchSampler)

    @functional_datapipe("in_pairs")
    class InPairs(Batcher):
        def __init__(self, source):
            super().__init__(source, 2)

    print([list(batch) for batch in IterableWrapper(range(3)).in_pairs()])
    """
    assert run(tmp_path, program) == ["True True", "[[0, 1], [2]]"]


def test_a_switch_that_was_set_still_follows_its_module(tmp_path):
    program = """
    import torch
    torch.backends.cudnn.enabled = True
    with torch.backends.cudnn.flags(enabled=False):
        print(torch.backends.cudnn.enabled)
    print(torch.backends.cudnn.enabled)
    """
    assert run(tmp_path, program) == ["False", "True"]
