"""Write names.json: PyTorch's public names by namespace, and what its test databases hold.

Run ``python tests/torch_parity/make_names.py`` where torch 2.13 is installed.  A name is public if
it is spelled so, is documented or declared, and is no left-over of torch's own machinery.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import re
import types
import warnings
from pathlib import Path
from typing import Any

import torch

NAMES = Path(__file__).parent / "names.json"
NAMESPACES = (
    "torch", "torch.Tensor", "torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils",
    "torch.optim", "torch.optim.lr_scheduler", "torch.autograd", "torch.autograd.functional",
    "torch.linalg", "torch.fft", "torch.special", "torch.distributions", "torch.utils.data",
    "torch.func", "torch.jit", "torch.onnx", "torch.export", "torch.fx", "torch.amp",
    "torch.profiler", "torch.hub", "torch.distributed", "torch.utils.checkpoint",
    "torch.utils.tensorboard", "torch.testing",
)  # fmt: skip
MACHINERY = {
    "torch": """
        AVG SUM DisableTorchFunction DisableTorchFunctionSubclass FatalError JITException
        LoggerBase PRIVATE_OPS StorageBase USE_GLOBAL_DEPS USE_RTLD_GLOBAL_WITH_LIBTORCH
        classproperty eig get_file_path has_lapack has_mkl has_openmp has_spectral int_repr lstsq
        matrix_rank parse_ir parse_schema prepare_multiprocessing_environment
        profiler_allow_cudagraph_cupti_lazy_reinit_cuda12 q_per_channel_axis q_per_channel_scales
        q_per_channel_zero_points q_scale q_zero_point read_vitals resize_as_sparse_ set_vital
        slice_inverse solve symeig thread_safe_generator vitals_enabled""",
    "torch.Tensor": "eig lstsq solve symeig reinforce volatile",
    "torch.nn": "factory_kwargs grad",
    "torch.nn.functional": """
        Tensor assert_int_or_pair boolean_dispatch handle_torch_function has_torch_function
        has_torch_function_unary has_torch_function_variadic""",
    "torch.fft": "Tensor",
}
SINGLETONS = ("dtype", "layout", "memory_format", "qscheme", "device")
INTERNAL_DOC = re.compile(r"\w+\((arg0|\*args)|\w+\(\) ->|[^\n]*\(self: ")
# What has no meaning outside torch: patterns of full names, per database.
WITHIN_TORCH = {
    "opinfo": r"torch\.ops\.aten\.|slice$|native_dropout_backward$|torch\._|_(?!_)|jiterator_|"
    r"max_pool2d_with_indices_backward$|sparse\.|to_sparse$|nn\.functional\.batch_norm\.without_cudnn$",
    "modules": r"(?!)",
    "optimizers": r"SparseAdam$",
}


def names(space: str) -> list[str]:
    """The public names of a namespace."""
    if space == "torch.utils.tensorboard":  # importing it needs another package: it is read
        return _imported_in("utils/tensorboard/__init__.py")
    holder: Any = torch.Tensor if space == "torch.Tensor" else importlib.import_module(space)
    declared = {n for n in getattr(holder, "__all__", ()) if hasattr(holder, n)}
    candidates = declared if declared and space != "torch" else {*dir(holder), *declared}
    machinery = set(MACHINERY.get(space, "").split())
    return sorted(
        name
        for name in candidates - machinery
        if name[0] != "_" and _is_public(space, holder, name, name in declared)
    )


def _imported_in(path: str) -> list[str]:
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    tree = ast.parse((Path(spec.origin).parent / path).read_text())
    imports = (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level)
    return sorted(alias.name for node in imports for alias in node.names)


def _is_public(space: str, holder: Any, name: str, is_declared: bool) -> bool:
    value = getattr(holder, name)
    home = getattr(value, "__module__", None) or ""
    if isinstance(value, types.ModuleType):
        return False
    if inspect.isclass(holder) or (is_declared and space != "torch"):
        return True
    if type(value).__name__ in SINGLETONS or name in ("e", "pi", "inf", "nan"):
        return True
    if inspect.isclass(value):
        inner = space == "torch" and (
            type(value).__name__ == "pybind11_type" or name.endswith("Type")
        )
        return home.split(".")[0] == "torch" and not inner
    if not callable(value):
        return is_declared or name == "newaxis"
    if inspect.isbuiltin(value):
        doc = value.__doc__ or ""
        known = hasattr(torch.Tensor, name) or hasattr(torch.nn.functional, name)
        return INTERNAL_DOC.match(doc) is None if doc.strip() else known
    if home.startswith("torch._jit_internal"):
        return space in ("torch.nn.functional", "torch.jit")
    return home.split(".")[0] == "torch" and not home.startswith("torch.overrides")


def databases() -> dict[str, list[str]]:
    """The entries of torch's own test databases."""
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db

    entries = {
        "opinfo": [o.full_name for o in op_db],
        "modules": [m.name for m in module_db],
        "optimizers": [o.name for o in optim_db],
    }
    return {
        base: sorted({n for n in found if not re.match(WITHIN_TORCH[base], n)})
        for base, found in entries.items()
    }


def main() -> None:
    """Write the file."""
    warnings.simplefilter("ignore")
    found = {
        "torch": torch.__version__,
        "names": {space: names(space) for space in NAMESPACES},
        "databases": databases(),
    }
    NAMES.write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    main()
