"""What the shipped kernels' functions share: their operands as views, checked against each other."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any, Collection, ContextManager, Dict, List, Optional, Sequence, Tuple

from . import _streams, _tensors
from ._dtypes import I32, LONG_NAMES
from ._runtime import Runtime

Named = List[Tuple[str, Any]]  # operands by name, in the function's order


def views(function: str, named: Named, stream: Any, lent: List[Any],
          written: Collection[str]) -> Tuple[List[_tensors.View], int]:
    """The views of all tensors, and the handle of the stream. lent: as _tensors.view says.

    written: names of operands that are. Raises ValueError for tensors that want a gradient.
    """
    torch = sys.modules.get("torch")
    if torch is None or not all([isinstance(tensor, torch.Tensor) for _, tensor in named]):
        handle = _tensors.current_stream(named) if stream is None else _streams.handle_of(stream)
        return [_tensors.view(name, tensor, handle, lent, written=name in written)
                for name, tensor in named], handle
    if torch.is_grad_enabled():
        for name, tensor in named:
            if tensor.requires_grad:
                raise ValueError(f"{function} has no gradient, but {name} requires one; call it "
                                 f"under torch.no_grad(), or pass {name}.detach()")
    found = [_tensors.torch_view(name, tensor) for name, tensor in named]
    if stream is not None:
        return found, _streams.handle_of(stream)
    return found, _streams.torch_current(found[0][4])  # type: ignore[arg-type]


def common_device(named: Named, found: List[_tensors.View]) -> Optional[int]:
    """The device that all tensors tell, if any does. Raises ValueError where two differ."""
    device = found[0][4]
    first = 0
    for index, tensor in enumerate(found):
        if tensor[4] == device or tensor[4] is None:
            continue
        if device is not None:
            raise ValueError(f"expected all tensors to be on the same device, but {named[first][0]} "
                             f"is on cuda:{device} and {named[index][0]} on cuda:{tensor[4]}")
        device, first = tensor[4], index
    return device


def check_overlap(named: Named, firsts: Sequence[int], lengths: Sequence[int],
                  written: Sequence[int]) -> None:
    """Raises ValueError where a tensor that is written shares memory with another.

    firsts, lengths: address and bytes of each; written: indices.
    """
    for index in written:
        first = firsts[index]
        end = first + lengths[index]
        for other, start in enumerate(firsts):
            if start < end and first < start + lengths[other] and other != index:
                raise ValueError(f"expected {named[index][0]} not to overlap another tensor, but "
                                 f"it shares memory with {named[other][0]}; pass a buffer of its "
                                 "own")


def reach(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Elements from the first to the last one."""
    return 1 + sum([(extent - 1) * stride for extent, stride in zip(shape, strides)])


def is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Row-major without gaps. Strides of extents 1 say nothing."""
    step = 1
    for extent, stride in zip(reversed(shape), reversed(strides)):
        if extent > 1 and stride != step:
            return 0 in shape
        step *= extent
    return True


# What was found right once is not checked again: plans by all that they follow from.
MAX_PLANS = 1024


def keep(plans: Dict[Any, Any], key: Any, plan: Any) -> Any:
    if len(plans) >= MAX_PLANS:
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
    if not is_contiguous(view[2], view[3]):
        raise ValueError(f"expected {name} to be contiguous, got strides {list(view[3])} for shape "
                         f"{list(view[2])}; pass {name}.contiguous()")


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


def current(tensor: Any, device: Optional[int], runtime: Runtime) -> ContextManager[Any]:
    """Makes the tensors' device current as their library does it.

    Raises ValueError where that library is unknown and another device is current.
    """
    if device is None:
        return _NOTHING
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and isinstance(tensor, torch.Tensor):
        if torch.cuda.current_device() == device:
            return _NOTHING
        return torch.cuda.device(device)
    if cupy is not None and isinstance(tensor, cupy.ndarray):
        return cupy.cuda.Device(device)
    at = runtime.current_device()
    if at == device or (at is None and device == 0):
        return _NOTHING
    raise ValueError(f"the tensors are on cuda:{device}, but the current device is "
                     f"{'none' if at is None else f'cuda:{at}'}; make it current first")


_NOTHING: ContextManager[Any] = nullcontext()
