"""Streams: the handle of whatever a caller calls a stream."""

from __future__ import annotations

import sys
from typing import Any, Callable, Dict, Optional


def handle_of(stream: Any) -> int:
    """The CUstream behind `stream` as an integer.

    Takes an integer, torch.cuda.Stream, cupy.cuda.Stream, anything with __cuda_stream__(), and
    None for the legacy default stream. Raises TypeError for anything else.
    """
    if stream is None:
        return 0
    if isinstance(stream, int) and not isinstance(stream, bool):
        if not 0 <= stream < 1 << 64:
            raise ValueError(f"expected stream to be a handle of CUDA, got {stream}")
        return stream
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        return int((protocol() if callable(protocol) else protocol)[1])
    for attribute in ("cuda_stream", "ptr"):  # torch.cuda.Stream, cupy.cuda.Stream
        handle = getattr(stream, attribute, None)
        if isinstance(handle, int):
            return handle
    raise TypeError(
        "expected stream to be an int, a torch.cuda.Stream, a cupy.cuda.Stream or an object with "
        f"__cuda_stream__(), got {type(stream).__name__}")


_torch_stream: Optional[Callable[[int], int]] = None


def torch_current(device: int) -> int:
    """The handle of torch's current stream of a device."""
    global _torch_stream
    if _torch_stream is None:
        torch = sys.modules["torch"]
        # Without the Stream object that the public call makes; it has been there since torch 1.8.
        _torch_stream = getattr(getattr(torch, "_C", None), "_cuda_getCurrentRawStream", None)
        if _torch_stream is None:
            _torch_stream = lambda index: torch.cuda.current_stream(index).cuda_stream  # noqa: E731
    return _torch_stream(device)


def cupy_current(device: Optional[int] = None) -> int:
    """The handle of CuPy's current stream of a device; default: of the current one."""
    cuda = sys.modules["cupy"].cuda
    if device is None:
        return cuda.get_current_stream().ptr
    with cuda.Device(device):  # CuPy keeps one per device
        return cuda.get_current_stream().ptr


def cupy_captures() -> bool:
    """Whether CuPy's current stream of the current device is being captured."""
    stream = sys.modules["cupy"].cuda.get_current_stream()
    return stream.ptr not in _LEGACY and bool(stream.is_capturing())


_LEGACY = (0, 1)  # the default stream, which cannot be captured


def current() -> int:
    """The current stream where no tensor says whose: torch's, else CuPy's, else the default."""
    modules: Dict[str, Any] = sys.modules
    torch = modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return torch_current(torch.cuda.current_device())
    return cupy_current() if modules.get("cupy") is not None else 0
