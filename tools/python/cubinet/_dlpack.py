"""DLPack: taking a tensor out of a capsule, exactly once. Source: dmlc/dlpack, dlpack.h 1.x."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint8, c_uint16, c_uint64, c_void_p
from typing import Any, List, Optional, Tuple

from . import _dtypes

CUDA, CUDA_MANAGED = 2, 13  # DLDeviceType
_DEVICE_NAMES = {1: "cpu", 3: "pinned host memory", 10: "rocm"}

View = Tuple[int, int, Tuple[int, ...], Tuple[int, ...], Optional[int]]


class _Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("device_type", c_int32), ("device_id", c_int32),
                ("ndim", c_int32), ("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16),
                ("shape", POINTER(c_int64)), ("strides", POINTER(c_int64)),
                ("byte_offset", c_uint64)]


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("manager_context", c_void_p), ("deleter", c_void_p)]


_Deleter = ctypes.CFUNCTYPE(None, c_void_p)

_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype, _get_pointer.argtypes = c_void_p, [ctypes.py_object, c_char_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.py_object, c_char_p]
_set_name = ctypes.pythonapi.PyCapsule_SetName
_set_name.restype, _set_name.argtypes = ctypes.c_int, [ctypes.py_object, c_char_p]

_NAME, _USED_NAME = b"dltensor", b"used_dltensor"  # outlive every capsule, as SetName asks


def device_of(name: str, tensor: Any) -> int:
    """The ordinal of the CUDA device that the tensor lies on. Raises ValueError for others."""
    kind, ordinal = tensor.__dlpack_device__()
    if int(kind) not in (CUDA, CUDA_MANAGED):
        where = _DEVICE_NAMES.get(int(kind), f"DLPack device type {int(kind)}")
        raise ValueError(f"expected {name} on a CUDA device, got a tensor on {where}")
    return int(ordinal)


class _Loan:
    """A managed tensor that was taken out of its capsule; given back when this ends."""

    __slots__ = ("_address", "_deleter")

    def __init__(self, address: int):
        self._address = address
        self._deleter = _Managed.from_address(address).deleter

    def __del__(self) -> None:
        if self._deleter:
            _Deleter(self._deleter)(self._address)


def view(name: str, tensor: Any, stream: int, lent: List[Any]) -> View:
    """(address, dtype, shape, strides in elements, device) of a tensor with __dlpack__.

    stream: the handle of the stream that will use the memory; the producer orders its work before.
    lent: gets the loan of the memory. What is behind it may be of this export alone, such as a
    copy, so it is held until the work that uses it is in the stream.
    """
    device = device_of(name, tensor)
    capsule = tensor.__dlpack__(stream=stream or 1)  # in DLPack 1 is the legacy default stream
    if not _is_valid(capsule, _NAME):
        raise TypeError(f"expected __dlpack__ of {name} to give a fresh \"dltensor\" capsule, got "
                        f"{capsule!r}")
    address = _get_pointer(capsule, _NAME)
    _set_name(capsule, _USED_NAME)  # from here on the deleter is the loan's to call
    lent.append(_Loan(address))
    return _read(name, _Managed.from_address(address).tensor, device)


def _read(name: str, raw: _Tensor, device: int) -> View:
    dtype = _dtypes.BY_DLPACK.get((raw.code, raw.bits), 0) if raw.lanes == 1 else 0
    if not dtype:
        raise TypeError(f"expected {name} of dtype {_dtypes.READABLE}, got DLPack type code "
                        f"{raw.code} with {raw.bits} bits")
    shape = tuple(raw.shape[i] for i in range(raw.ndim))
    if raw.strides:
        strides = tuple(raw.strides[i] for i in range(raw.ndim))
    else:
        strides = contiguous_strides(shape)
    return (raw.data or 0) + raw.byte_offset, dtype, shape, strides, device


def contiguous_strides(shape: Tuple[int, ...]) -> Tuple[int, ...]:
    """The strides of a row-major tensor, in elements."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))
