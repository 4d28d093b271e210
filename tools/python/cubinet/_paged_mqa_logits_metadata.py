"""paged_mqa_logits_metadata, which `kernels` offers."""

from __future__ import annotations

import struct
from typing import Any, List, Optional, Tuple

from . import _operands, _runtime, _tensors
from ._dtypes import I32, LONG_NAMES
from ._errors import last_error
from ._library import C
from ._runtime import Runtime

_ARGS = struct.Struct("@Q4q2Q2i")  # cubinet_paged_mqa_logits_metadata_args
_WRITTEN = ("schedule",)


def paged_mqa_logits_metadata(schedule: Any, context_lens: Any, max_context_len: int, *,
                              stream: Any = None, programmatic_dependent: bool = True,
                              runtime: Optional[Runtime] = None) -> None:
    """Divides the keys of a batch over the workers (thread blocks) of paged_mqa_logits.

    schedule:     [num_workers + 1, 2] int32, contiguous. Written: (request, split of 64 keys)
                  pairs; worker i does from its pair up to the next one, the last is (batch, 0).
    context_lens: [batch, next_n] or [batch] int32, contiguous; below 0 counts as 0, beyond
                  max_context_len as that.
    max_context_len: the width of the logits.
    stream, programmatic_dependent, runtime: as merge_attn_states.

    Workers differ by one split at most; the same lengths always give the same schedule.
    Asynchronous, and may be captured into a CUDA graph. Raises as merge_attn_states does.
    """
    named = [("schedule", schedule), ("context_lens", context_lens)]
    lent: List[Any] = []  # held until the launch is in the stream
    views, handle = _operands.views("paged_mqa_logits_metadata", named, stream, lent, _WRITTEN)
    device = _operands.common_device(named, views)
    workers = _check_schedule(views[0])
    batch, next_n = _check_lens(views[1])
    firsts = [view[0] for view in views]
    _operands.check_overlap(named, firsts, [8 * (workers + 1), 4 * batch * next_n], [0])
    packed = _ARGS.pack(_ARGS.size, batch, next_n, _length(max_context_len), workers, firsts[1],
                        firsts[0], not programmatic_dependent, 0)
    at = runtime or _runtime._shared or _runtime.shared_runtime()
    with _operands.current(schedule, device, at):
        status = C.cubinet_paged_mqa_logits_metadata(at._alive(), packed, handle)
        if status:
            raise last_error(status)


def _check_schedule(view: _tensors.View) -> int:
    """The number of workers."""
    _, _, shape, _, _ = view
    if len(shape) != 2 or shape[0] < 2 or shape[1] != 2:
        raise ValueError("expected schedule of shape [num_workers + 1, 2], got "
                         f"{list(shape)}")
    _check_ints("schedule", view)
    return shape[0] - 1


def _check_lens(view: _tensors.View) -> Tuple[int, int]:
    """(batch, next_n)."""
    _, _, shape, _, _ = view
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] == 0):
        raise ValueError("expected context_lens of shape [batch, next_n] or [batch], got "
                         f"{list(shape)}")
    _check_ints("context_lens", view)
    return shape[0], shape[1] if len(shape) == 2 else 1


def _check_ints(name: str, view: _tensors.View) -> None:
    _, dtype, shape, strides, _ = view
    if dtype != I32:
        raise TypeError(f"expected {name} of dtype int32, got {LONG_NAMES[dtype]}")
    if not _operands.is_contiguous(shape, strides):
        raise ValueError(f"expected {name} to be contiguous, got strides {list(strides)} for shape "
                         f"{list(shape)}; pass {name}.contiguous()")


def _length(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or hasattr(value, "__dlpack__"):
        # A tensor would have to be waited for.
        raise TypeError(f"expected max_context_len to be an int, got {type(value).__name__}")
    value = int(value)
    if not 0 <= value < 1 << 31:
        raise ValueError(f"expected max_context_len from 0 to 2^31 - 1, got {value}")
    return value
