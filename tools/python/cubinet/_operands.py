"""What the shipped kernels' functions share: their operands as views, checked against each other."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any, Collection, ContextManager, List, Optional, Sequence, Tuple

from . import _streams, _tensors
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
