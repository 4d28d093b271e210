"""mqa_logits, which `kernels` offers."""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import _mqa_operands, _operands, _runtime, _tensors
from ._dtypes import CODES, F32
from ._errors import last_error
from ._library import C
from ._runtime import Runtime

_ARGS = struct.Struct("@Q4q7Q3q4i")  # cubinet_mqa_logits_args
_WRITTEN = ("logits",)


def mqa_logits(logits: Any, query: Any, keys: Any, key_scales: Any, weights: Any, starts: Any,
               ends: Any, *, compressed_logits: bool = False, clean_logits: bool = False,
               num_workers: int = 0, stream: Any = None, programmatic_dependent: bool = True,
               runtime: Optional[Runtime] = None) -> None:
    """Scores FP8 queries against FP8 keys, a range of them per token: a weighted sum of ReLUs.

    score[i, p] = key_scales[p] * sum(weights[i] * relu(query[i] @ keys[p])), starts[i] <= p < ends[i]

    logits:     [num_tokens, columns] float32 or bfloat16; rows may be padded. Written where there is
                a score: in column p, or p - starts[i] with compressed_logits; columns that are not
                there are dropped.
    query:      [num_tokens, num_heads, head_dim] float8_e4m3fn (or uint8, its bits), contiguous; 16,
                32 or 64 heads of 32, 64 or 128 elements.
    keys:       [num_keys, head_dim] of the same dtypes, contiguous.
    key_scales: [num_keys] float32, contiguous.
    weights:    [num_tokens, num_heads] float32, contiguous.
    starts, ends: [num_tokens] int32, contiguous; cut to the keys that there are.
    compressed_logits: a row begins with the first key of its range.
    clean_logits: writes -inf into all other columns; else they stay as they are.
    num_workers:  thread blocks; 0: the device's multiprocessors.
    stream, programmatic_dependent, runtime: as merge_attn_states.

    Asynchronous, and may be captured into a CUDA graph. Needs a GPU of compute capability 9.0.
    Raises as merge_attn_states does.
    """
    named = [("logits", logits), ("query", query), ("keys", keys), ("key_scales", key_scales),
             ("weights", weights), ("starts", starts), ("ends", ends)]
    lent: List[Any] = []  # held until the launch is in the stream
    views, handle = _operands.views("mqa_logits", named, stream, lent, _WRITTEN)
    key = tuple([view[1:] for view in views])
    plan = _plans.get(key) or _operands.keep(_plans, key, _make_plan(named, views))
    if plan.columns == 0:
        return
    address = [view[0] for view in views]
    packed = _ARGS.pack(_ARGS.size, *plan.shape, *address[1:], address[0], plan.columns,
                        plan.stride, _operands.number("num_workers", num_workers), plan.dtype,
                        bool(compressed_logits), bool(clean_logits), not programmatic_dependent)
    at = runtime or _runtime._shared or _runtime.shared_runtime()
    with _operands.current(logits, plan.device, at):
        status = C.cubinet_mqa_logits(at._alive(), packed, handle)
        if status:
            raise last_error(status)


class _Plan(NamedTuple):
    """What follows from shapes, dtypes, strides and devices, whatever the addresses are."""

    device: Optional[int]
    shape: Tuple[int, int, int, int]  # num_tokens, num_keys, num_heads, head_dim
    columns: int
    stride: int  # of rows of logits
    dtype: int  # of the logits


_plans: Dict[Any, _Plan] = {}


def _make_plan(named: List[Tuple[str, Any]], views: List[_tensors.View]) -> _Plan:
    """Checks everything but addresses. Raises as mqa_logits says."""
    logits, query, keys, scales, weights, starts, ends = views
    _operands.check_dtype("query", query, CODES)
    if len(query[2]) != 3:
        raise ValueError("expected query of shape [num_tokens, num_heads, head_dim], got "
                         f"{list(query[2])}")
    _operands.check_contiguous("query", query)
    tokens, heads, dim = query[2]
    count = keys[2][0] if keys[2] else 0
    _operands.check("keys", keys, CODES, (count, dim), "[num_keys, head_dim]")
    _operands.check("key_scales", scales, (F32,), (count,), "[num_keys]")
    _operands.check("weights", weights, (F32,), (tokens, heads), "[num_tokens, num_heads]")
    _operands.check_ints("starts", starts, (tokens,), "[num_tokens]")
    _operands.check_ints("ends", ends, (tokens,), "[num_tokens]")
    columns, stride = _mqa_operands.check_logits(logits, tokens, "num_tokens")
    return _Plan(_operands.common_device(named, views), (tokens, count, heads, dim), columns,
                 stride, logits[1])
