"""Operands that paged_mqa_logits and mqa_logits have in common."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

from . import _operands, _tensors
from ._dtypes import BF16, E4M3, F32, I32, LONG_NAMES, U8

CODES = (E4M3, U8)  # 8-bit floats, or their bits

# What was found right once is not checked again: plans by all that they follow from.
_MAX_PLANS = 1024


def keep(plans: Dict[Any, Any], key: Any, plan: Any) -> Any:
    if len(plans) >= _MAX_PLANS:
        plans.clear()
    plans[key] = plan
    return plan


def check_dtype(name: str, view: _tensors.View, expected: Sequence[int]) -> None:
    if view[1] in expected:
        return
    names = " or ".join([LONG_NAMES[dtype] for dtype in expected])
    raise TypeError(f"expected {name} of dtype {names}, got {LONG_NAMES[view[1]]}")


def check(name: str, view: _tensors.View, expected: Sequence[int], shape: Tuple[int, ...],
          words: str) -> None:
    """Raises unless the tensor is contiguous, of this shape and of one of these dtypes."""
    check_dtype(name, view, expected)
    if view[2] != shape:
        raise ValueError(f"expected {name} of shape {words} = {list(shape)}, got {list(view[2])}")
    check_contiguous(name, view)


def check_contiguous(name: str, view: _tensors.View) -> None:
    if not _operands.is_contiguous(view[2], view[3]):
        raise ValueError(f"expected {name} to be contiguous, got strides {list(view[3])} for shape "
                         f"{list(view[2])}; pass {name}.contiguous()")


def check_logits(view: _tensors.View, rows: int, words: str) -> Tuple[int, int]:
    """(columns, elements from row to row) of [rows, columns]."""
    _, _, shape, strides, _ = view
    check_dtype("logits", view, (F32, BF16))
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


def check_ints(name: str, view: _tensors.View, shape: Tuple[int, ...], words: str) -> None:
    check(name, view, (I32,), shape, words)


def number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or hasattr(value, "__dlpack__"):
        # A tensor would have to be waited for.
        raise TypeError(f"expected {name} to be an int, got {type(value).__name__}")
    value = int(value)
    if not -1 << 63 <= value < 1 << 63:
        raise ValueError(f"expected {name} to fit 64 bits, got {value}")
    return value
