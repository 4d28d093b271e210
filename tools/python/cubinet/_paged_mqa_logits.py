"""paged_mqa_logits, which `kernels` offers."""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import _mqa_operands, _operands, _runtime, _tensors
from ._dtypes import CODES, E4M3, F32, I32, U8
from ._errors import last_error
from ._library import C
from ._runtime import Runtime

_ARGS = struct.Struct("@Q7q7Q4q4i")  # cubinet_paged_mqa_logits_args
_WRITTEN = ("logits",)


def paged_mqa_logits(logits: Any, query: Any, kv_cache: Any, weights: Any, context_lens: Any,
                     block_table: Any, schedule: Any = None, *, clean_logits: bool = False,
                     num_workers: int = 0, stream: Any = None, programmatic_dependent: bool = True,
                     runtime: Optional[Runtime] = None) -> None:
    """Scores FP8 queries against a paged FP8 key cache: a weighted sum of ReLUs over the heads.

    logits[b * n + t, p] = scale[p] * sum(weights[b * n + t] * relu(query[b, t] @ key[p]))

    logits:       [batch * next_n, max_context_len] float32 or bfloat16; rows may be padded. Written
                  below each token's length.
    query:        [batch, next_n, num_heads, head_dim] float8_e4m3fn (or uint8, its bits),
                  contiguous; [batch, num_heads, head_dim] is next_n = 1. next_n to 6; 16, 32 or 64
                  heads of 32, 64 or 128 elements.
    kv_cache:     [num_blocks, block_kv, 1, head_dim + 4] uint8 with blocks of 32 or 64 tokens, also
                  without the 1, or [num_blocks, block_kv * (head_dim + 4)]; a block holds the e4m3
                  keys of its tokens and then their float32 scales, and blocks may be padded.
    weights:      [batch * next_n, num_heads] float32, contiguous.
    context_lens: [batch, next_n] or, for next_n = 1, [batch] int32, contiguous.
    block_table:  [batch, blocks] int32; entries beyond a context are not read.
    schedule:     [num_workers + 1, 2] int32 of paged_mqa_logits_metadata for the same lengths;
                  default: every thread block finds its part itself.
    clean_logits: writes -inf from each token's length to max_context_len; else those positions stay
                  as they are.
    num_workers:  thread blocks, where there is no schedule; 0: the device's multiprocessors.
    stream, programmatic_dependent, runtime: as merge_attn_states.

    Asynchronous, and may be captured into a CUDA graph. Needs a GPU of compute capability 9.0.
    Raises as merge_attn_states does.
    """
    named = [("logits", logits), ("query", query), ("kv_cache", kv_cache), ("weights", weights),
             ("context_lens", context_lens), ("block_table", block_table)]
    if schedule is not None:
        named.append(("schedule", schedule))
    lent: List[Any] = []  # held until the launch is in the stream
    views, handle = _operands.views("paged_mqa_logits", named, stream, lent, _WRITTEN)
    key = tuple([view[1:] for view in views])
    plan = _plans.get(key) or _operands.keep(_plans, key, _make_plan(named, views))
    workers = plan.workers
    if num_workers:
        workers = _workers(num_workers, plan.workers)
    address = [view[0] for view in views]
    packed = _ARGS.pack(_ARGS.size, *plan.shape, *address[1:6],
                        0 if schedule is None else address[6], address[0], *plan.strides, workers,
                        plan.dtype, bool(clean_logits), not programmatic_dependent, 0)
    at = runtime or _runtime._shared or _runtime.shared_runtime()
    with _operands.current(logits, plan.device, at):
        status = C.cubinet_paged_mqa_logits(at._alive(), packed, handle)
        if status:
            raise last_error(status)


class _Plan(NamedTuple):
    """What follows from shapes, dtypes, strides and devices, whatever the addresses are."""

    device: Optional[int]
    shape: Tuple[int, ...]  # batch to max_context_len, as the C struct has them
    strides: Tuple[int, int, int]  # of blocks, the block table and logits
    workers: int  # of the schedule; 0 without
    dtype: int  # of the logits


_plans: Dict[Any, _Plan] = {}


def _workers(given: Any, scheduled: int) -> int:
    count = _operands.number("num_workers", given)
    if scheduled not in (0, count):
        raise ValueError(f"expected num_workers to be that of the schedule ({scheduled}), got "
                         f"{count}; leave it out")
    return count


def _make_plan(named: List[Tuple[str, Any]], views: List[_tensors.View]) -> _Plan:
    """Checks everything but addresses. Raises as paged_mqa_logits says."""
    logits, query, cache, weights, lens, table = views[:6]
    batch, next_n, heads, dim = _check_query(query)
    rows = batch * next_n
    blocks, block_kv, block_stride = _check_cache(cache, dim)
    _operands.check("weights", weights, (F32,), (rows, heads), "[batch * next_n, num_heads]")
    if next_n == 1 and len(lens[2]) == 1:
        _operands.check_ints("context_lens", lens, (batch,), "[batch]")
    else:
        _operands.check_ints("context_lens", lens, (batch, next_n), "[batch, next_n]")
    table_stride = _check_table(table, batch)
    columns, stride = _mqa_operands.check_logits(logits, rows, "batch * next_n")
    workers = 0
    if len(views) == 7:
        shape = views[6][2]
        workers = shape[0] - 1 if shape else 0
        if workers < 1:
            raise ValueError(f"expected schedule of shape [num_workers + 1, 2], got {list(shape)}")
        _operands.check_ints("schedule", views[6], (workers + 1, 2), "[num_workers + 1, 2]")
    return _Plan(_operands.common_device(named, views),
                 (batch, next_n, heads, dim, block_kv, blocks, columns),
                 (block_stride, table_stride, stride), workers, logits[1])


def _check_query(query: _tensors.View) -> Tuple[int, int, int, int]:
    """(batch, next_n, num_heads, head_dim)."""
    _, _, shape, _, _ = query
    _operands.check_dtype("query", query, CODES)
    if len(shape) not in (3, 4):
        raise ValueError("expected query of shape [batch, next_n, num_heads, head_dim] or [batch, "
                         f"num_heads, head_dim], got {list(shape)}")
    _operands.check_contiguous("query", query)
    return (shape[0], 1, *shape[1:]) if len(shape) == 3 else tuple(shape)  # type: ignore[return-value]


def _check_cache(cache: _tensors.View, dim: int) -> Tuple[int, int, int]:
    """(num_blocks, block_kv, bytes from block to block)."""
    _, _, shape, strides, _ = cache
    _operands.check_dtype("kv_cache", cache, (U8, E4M3))
    width = dim + 4
    block_bytes = 1
    for extent in shape[1:]:
        block_bytes *= extent
    fits = (len(shape) == 2 and shape[1] % width == 0) or (
        len(shape) == 3 and shape[2] == width) or (
            len(shape) == 4 and shape[2] == 1 and shape[3] == width)
    if not fits:
        raise ValueError("expected kv_cache of shape [num_blocks, block_kv, 1, head_dim + 4], "
                         "[num_blocks, block_kv, head_dim + 4] or [num_blocks, block_kv * (head_dim "
                         f"+ 4)] with head_dim {dim}, got {list(shape)}")
    if not _operands.is_contiguous(shape[1:], strides[1:]):
        raise ValueError("expected kv_cache whose blocks are contiguous (only blocks may be "
                         f"padded), got strides {list(strides)} for shape {list(shape)}")
    return shape[0], block_bytes // width, strides[0] if shape[0] > 1 else block_bytes


def _check_table(table: _tensors.View, batch: int) -> int:
    """Entries from row to row."""
    _, _, shape, strides, _ = table
    _operands.check_dtype("block_table", table, (I32,))
    if len(shape) != 2 or shape[0] != batch:
        raise ValueError(f"expected block_table of shape [batch, blocks] = [{batch}, blocks], got "
                         f"{list(shape)}")
    stride = strides[0] if batch > 1 else shape[1]
    if (shape[1] > 1 and strides[1] != 1) or stride < shape[1]:
        raise ValueError("expected block_table whose rows are contiguous and apart, got strides "
                         f"{list(strides)} for shape {list(shape)}; pass block_table.contiguous()")
    return max(stride, 1)
