"""Methods about sparse layouts: their code is loaded when one is first called."""

from __future__ import annotations

from typing import Any, Final

from flambeau.tensor import Tensor

_METHODS: Final = (
    "_coalesced_", "_dimI", "_dimV", "_indices", "_nnz", "_values", "ccol_indices", "coalesce",
    "col_indices", "crow_indices", "dense_dim", "indices", "is_coalesced", "resize_as_sparse_",
    "row_indices", "smm", "sparse_dim", "sparse_mask", "sparse_resize_",
    "sparse_resize_and_clear_", "sspaddmm", "to_dense", "to_sparse", "to_sparse_bsc",
    "to_sparse_bsr", "to_sparse_coo", "to_sparse_csc", "to_sparse_csr", "values",
)


def _loaded(name: str) -> Any:
    def method(self: Tensor, *args: Any, **named: Any) -> Any:
        from flambeau.sparse import methods

        function = getattr(methods, name)
        method.__doc__ = function.__doc__
        setattr(Tensor, name, function)
        return function(self, *args, **named)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"See ``flambeau.sparse.methods.{name}``."
    return method


for _name in _METHODS:
    setattr(Tensor, _name, _loaded(_name))


def to_padded_tensor(self: Tensor, padding: float, output_size: Any = None) -> Any:
    """A dense tensor of a nested one; other tensors refuse."""
    from flambeau.nested import construct

    return construct.to_padded_tensor(self, padding, output_size)


setattr(Tensor, "to_padded_tensor", to_padded_tensor)  # noqa: B010
