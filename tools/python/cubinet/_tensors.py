"""Tensors of any library as (address, dtype, shape, strides in elements, device)."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import _dlpack, _dtypes, _streams

# device is None where the tensor does not tell.
View = Tuple[int, int, Tuple[int, ...], Tuple[int, ...], Optional[int]]

_torch_dtypes: Dict[Any, int] = {}  # torch.dtype objects: cheaper to look up than their names


def _dtype_error(name: str, dtype: object) -> TypeError:
    return TypeError(f"expected {name} of dtype {_dtypes.READABLE}, got {dtype}")


def torch_view(name: str, tensor: Any) -> View:
    """The view of a torch.Tensor. Raises ValueError for a tensor that is not on a CUDA device."""
    dtype = _torch_dtypes.get(tensor.dtype)
    if dtype is None:
        dtype = _dtypes.of_name(tensor.dtype)
        if not dtype:
            raise _dtype_error(name, tensor.dtype)
        _torch_dtypes[tensor.dtype] = dtype
    device = tensor.get_device()
    if device < 0 or not tensor.is_cuda:
        raise ValueError(f"expected {name} on a CUDA device, got a tensor on {tensor.device}")
    return tensor.data_ptr(), dtype, tensor.shape, tensor.stride(), device


def _cupy_view(name: str, array: Any) -> View:
    dtype = _dtypes.of_name(array.dtype)
    if not dtype:
        raise _dtype_error(name, array.dtype)
    return (array.data.ptr, dtype, array.shape, _in_elements(name, array.strides, dtype),
            array.device.id)


def _in_elements(name: str, strides: Sequence[int], dtype: int) -> Tuple[int, ...]:
    size = _dtypes.BYTES[dtype]
    if any(stride % size for stride in strides):
        raise ValueError(f"expected {name} with strides of whole elements, got {tuple(strides)} "
                         f"bytes for {_dtypes.LONG_NAMES[dtype]}")
    return tuple(stride // size for stride in strides)


def _interface_view(name: str, tensor: Any, interface: Dict[str, Any]) -> View:
    if interface.get("mask") is not None:
        raise ValueError(f"expected {name} without a mask, got a masked array")
    # Types of ml_dtypes have no typestr of their own, but a dtype with a name.
    dtype = _dtypes.of_name(getattr(tensor, "dtype", ""))
    dtype = dtype or _dtypes.BY_TYPESTR.get(interface["typestr"][1:], 0)
    if not dtype or interface["typestr"][0] == ">":
        raise _dtype_error(name, interface["typestr"])
    shape = tuple(interface["shape"])
    strides = interface.get("strides")
    in_elements = (_dlpack.contiguous_strides(shape) if strides is None
                   else _in_elements(name, strides, dtype))
    device = getattr(getattr(tensor, "device", None), "id", None)
    return interface["data"][0], dtype, shape, in_elements, device if isinstance(device, int) else None


def _interface_of(tensor: Any) -> Optional[Dict[str, Any]]:
    try:  # a property, which refuses dtypes that it does not carry
        return tensor.__cuda_array_interface__
    except (AttributeError, TypeError, RuntimeError, BufferError):
        return None


def view(name: str, tensor: Any, stream: int, lent: List[Any], written: bool = False) -> View:
    """The view of a torch, CuPy, __cuda_array_interface__ or __dlpack__ tensor.

    stream: what a DLPack producer orders its work before. lent: gets what must be kept until the
    memory was used. written: refuse what is read-only.
    Raises TypeError for what is none of these, or has another dtype; ValueError for a tensor that
    is not on a CUDA device.
    """
    modules: Dict[str, Any] = sys.modules
    torch = modules.get("torch")
    if torch is not None and isinstance(tensor, torch.Tensor):
        return torch_view(name, tensor)
    cupy = modules.get("cupy")
    if cupy is not None and isinstance(tensor, cupy.ndarray):
        return _cupy_view(name, tensor)
    interface = _interface_of(tensor)
    if interface is not None:
        if written and interface["data"][1]:
            raise ValueError(f"expected {name} to be writable, got a read-only array")
        return _interface_view(name, tensor, interface)
    if hasattr(tensor, "__dlpack__") and hasattr(tensor, "__dlpack_device__"):
        return _dlpack.view(name, tensor, stream, lent)
    raise TypeError(f"expected {name} to be a CUDA tensor (torch, CuPy, or anything with "
                    f"__cuda_array_interface__ or __dlpack__), got {type(tensor).__name__}")


def current_stream(tensors: Sequence[Tuple[str, Any]]) -> int:
    """The stream that the tensors' libraries call current: torch's or CuPy's of the first such
    tensor, else the one that __cuda_array_interface__ names, else the legacy default stream.

    Raises ValueError where two tensors name different streams.
    """
    modules: Dict[str, Any] = sys.modules
    torch, cupy = modules.get("torch"), modules.get("cupy")
    named: Optional[Tuple[str, int]] = None
    for name, tensor in tensors:
        if torch is not None and isinstance(tensor, torch.Tensor):
            # One on the CPU is refused a little later.
            return _streams.torch_current(tensor.get_device()) if tensor.is_cuda else 0
        if cupy is not None and isinstance(tensor, cupy.ndarray):
            return _streams.cupy_current(tensor.device.id)
        stream = (_interface_of(tensor) or {}).get("stream")
        if stream is None:
            continue
        if named is not None and named[1] != stream:
            raise ValueError(f"{named[0]} is used on stream {named[1]} and {name} on stream "
                             f"{stream}; order them and pass stream=")
        named = named or (name, stream)
    return named[1] if named else 0


def make(like: Any, shape: Tuple[int, ...], dtype: str, stream: int) -> Optional[Any]:
    """A tensor without gaps by the library of `like`; None where that is neither torch nor CuPy,
    has no such dtype, or would not order earlier and later users of its memory with `stream`.

    Requires: the device of `like` is current.
    """
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and isinstance(like, torch.Tensor):
        if _streams.torch_current(like.get_device()) == stream:
            return torch.empty(*shape, dtype=getattr(torch, dtype), device=like.device)
    elif cupy is not None and isinstance(like, cupy.ndarray) and dtype in ("uint8", "float32"):
        if _streams.cupy_current(like.device.id) == stream:
            return cupy.empty(shape, dtype=dtype)
    return None


def try_scratch(like: Any, count: int, stream: int, lent: List[Any]) -> int:
    """The address of `count` bytes that the library of `like` makes. lent: gets their owner.

    Returns: 0 where that library would not order their next user behind `stream`; CuPy knows no
    graphs and would hand them out between two replays.
    Requires: the device of `like` is current.
    """
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(like, cupy.ndarray) and _streams.cupy_captures():
        return 0
    made = make(like, (count,), "uint8", stream)
    if made is None:
        return 0
    lent.append(made)
    return view("workspace", made, stream, lent)[0]


def scratch(like: Any, count: int, stream: int, lent: List[Any]) -> int:
    """try_scratch, but raises ValueError where it would return 0."""
    address = try_scratch(like, count, stream, lent)
    if address == 0:
        raise ValueError(f"expected a workspace of {count} bytes, since one is made only for "
                         "tensors of torch or CuPy on their current stream, and by CuPy not while "
                         "that captures; pass workspace")
    return address
