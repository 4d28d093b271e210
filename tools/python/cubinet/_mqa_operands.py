"""Operands that paged_mqa_logits and mqa_logits have in common."""

from __future__ import annotations

from typing import Tuple

from . import _operands, _tensors
from ._dtypes import BF16, F32


def check_logits(view: _tensors.View, rows: int, words: str) -> Tuple[int, int]:
    """(columns, elements from row to row) of [rows, columns]."""
    _, _, shape, strides, _ = view
    _operands.check_dtype("logits", view, (F32, BF16))
    if len(shape) != 2 or shape[0] != rows:
        raise ValueError(f"expected logits of shape [{words}, columns] = [{rows}, columns], got "
                         f"{list(shape)}")
    columns = shape[1]
    stride = strides[0] if rows > 1 else columns
    if columns > 0 and ((columns > 1 and strides[1] != 1) or stride < columns):
        raise ValueError("expected logits whose rows are contiguous and apart, got strides "
                         f"{list(strides)} for shape {list(shape)}; pass a slice of a tensor made "
                         "with torch.empty")
    return columns, stride
