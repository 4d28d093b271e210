"""Tensor maps: how the tensor memory accelerator (TMA) is told about a tensor."""

from __future__ import annotations

from ctypes import byref
from typing import Any, List, Optional, Sequence, Tuple

from . import _dtypes, _library, _runtime, _tensors
from ._errors import check
from ._library import C, TensorMap
from ._numbers import integer

_MAX_RANK = 5
_UINT32_MAX = (1 << 32) - 1
_SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}
_PROMOTIONS = {0: 1, 64: 2, 128: 3, 256: 4}
_FILLS = {"zero": 0, "nan": 1}


def make_tensor_map(tensor: Any, box: Sequence[int], *, swizzle_bytes: int = 0,
                    l2_promotion_bytes: int = 256, fill: str = "zero",
                    element_strides: Optional[Sequence[int]] = None,
                    runtime: Optional[_runtime.Runtime] = None) -> TensorMap:
    """The tensor map of a CUDA tensor, encoded by the driver, once per address and shape.

    It is a ctypes.Structure of 128 bytes, to be a member of a kernel's Params where the template has
    a cubinet::TensorMap, at a multiple of 64. It holds the tensor's address and nothing of the
    tensor: keep that alive while kernels use it.

    tensor:          1 to 5 dimensions, the last one contiguous; the others' strides multiples of 16
                     bytes.
    box:             elements of each dimension that one copy moves, in the order of tensor.shape:
                     1 to 256, in the last dimension a multiple of 16 bytes.
    swizzle_bytes:   0, 32, 64 or 128: how rows lie in shared memory; no less than a row of the box.
    l2_promotion_bytes: 0, 64, 128 or 256: what a read brings into the L2 at least.
    fill:            "zero" or, for floats of 16 and 32 bits, "nan": what lies beyond the tensor.
    element_strides: in the order of tensor.shape, 1 to 8, in the last dimension 1; default: 1.

    Raises TypeError (wrong kind of object or dtype), InvalidArgumentError, a ValueError, that names
    the rule which is broken, and other cubinet.Errors.
    """
    lent: List[Any] = []
    stream = _tensors.current_stream([("tensor", tensor)])
    address, dtype, shape, strides, _ = _tensors.view("tensor", tensor, stream, lent)
    rank = len(shape)
    if not 1 <= rank <= _MAX_RANK:
        raise ValueError(f"expected tensor with 1 to 5 dimensions, got shape {list(shape)}")
    if shape[-1] > 1 and strides[-1] != 1:
        raise ValueError(f"expected tensor with a contiguous last dimension, got strides "
                         f"{list(strides)} for shape {list(shape)}; pass tensor.contiguous()")
    spec = _library.TensorMapSpec(
        address=address, rank=rank, type=dtype,
        swizzle=_choice("swizzle_bytes", swizzle_bytes, _SWIZZLES),
        l2_promotion=_choice("l2_promotion_bytes", l2_promotion_bytes, _PROMOTIONS),
        out_of_bounds=_choice("fill", fill, _FILLS))
    spec.sizes[:rank] = shape[::-1]
    spec.strides[:rank - 1] = _strides_in_bytes(shape, strides, _dtypes.BYTES[dtype])
    spec.box[:rank] = _per_dimension("box", box, rank, 0)
    if element_strides is not None:
        spec.element_strides[:rank] = _per_dimension("element_strides", element_strides, rank, 1)
    made = TensorMap()
    at = runtime or _runtime.shared_runtime()
    check(C.cubinet_make_tensor_map(at._alive(), byref(spec), byref(made)))
    return made


def _choice(name: str, value: Any, choices: Any) -> int:
    if isinstance(value, bool) or value not in choices:
        raise ValueError(f"expected {name} to be one of {', '.join(map(repr, choices))}, got "
                         f"{value!r}")
    return choices[value]


def _per_dimension(name: str, values: Sequence[int], rank: int, first: int) -> Tuple[int, ...]:
    """One number for each dimension, the innermost first."""
    if not isinstance(values, (tuple, list)) or len(values) != rank:
        raise ValueError(f"expected {name} to be a sequence of {rank} ints, one for each dimension "
                         f"of the tensor, got {values!r}")
    return tuple(integer(f"{name}[{i}]", value, first, _UINT32_MAX)
                 for i, value in reversed(list(enumerate(values))))


def _strides_in_bytes(shape: Tuple[int, ...], strides: Tuple[int, ...], size: int) -> List[int]:
    """The strides of all dimensions but the innermost, the innermost of these first."""
    found: List[int] = []
    reach = shape[-1] * size
    for extent, stride in zip(shape[-2::-1], strides[-2::-1]):
        # The stride of an extent 1 says nothing: take what the hardware accepts.
        step = stride * size if extent > 1 else -(-reach // 16) * 16
        if step < 0:
            raise ValueError(f"expected tensor without negative strides, got {list(strides)}")
        found.append(step)
        reach = max(reach, extent * step)
    return found
