"""What a kernel is asked for by: a request, and what the C interface makes of it."""

from __future__ import annotations

import ctypes
from typing import Any, Mapping, Optional, Sequence

from . import _dtypes, _library
from ._errors import InvalidArgumentError
from ._numbers import encoded, integer
from ._warm_up import KernelSpec

DEBUG = {"none": 0, "lineinfo": 1, "full": 2}
_BOOL, _INT, _DTYPE, _TEXT = 1, 2, 3, 4
_INT64 = (-(1 << 63), (1 << 63) - 1)


def choice(name: str, value: str, choices: Mapping[str, int]) -> int:
    if not isinstance(value, str) or value not in choices:
        raise InvalidArgumentError(
            f"read {name}: {value!r} is not valid; expected one of {', '.join(choices)}")
    return choices[value]


def _constant(name: str, value: Any) -> _library.Constant:
    key = encoded("the name of a constant", name)
    if isinstance(value, bool):
        return _library.Constant(name=key, kind=_BOOL, number=value)
    if isinstance(value, int) or (hasattr(value, "__index__") and not hasattr(value, "__dlpack__")):
        number = int(value)
        if not -(1 << 63) <= number < 1 << 63:
            raise InvalidArgumentError(f"take {name}: {number} is beyond 64 bits; pass a smaller "
                                       "one")
        return _library.Constant(name=key, kind=_INT, number=number)
    if isinstance(value, str):
        return _library.Constant(name=key, kind=_TEXT, text=encoded(name, value))
    dtype = _dtypes.of_name(getattr(value, "__name__", value))
    if dtype and not isinstance(value, float):
        return _library.Constant(name=key, kind=_DTYPE, number=dtype)
    raise TypeError(f"expected constant {name} to be a bool, an int, a str or a dtype of torch or "
                    f"NumPy, got {value!r}")


class Request:
    """A cubinet_request and what it points into."""

    def __init__(self, name: str, constants: Mapping[str, Any], sizes: Optional[Mapping[str, int]],
                 device: Optional[int], debug: str):
        sizes = sizes or {}
        self.constants = (_library.Constant * len(constants))(
            *(_constant(key, value) for key, value in constants.items()))
        self.sizes = (_library.Size * len(sizes))(
            *(_library.Size(encoded("the name of a size", key), integer(key, value, *_INT64))
              for key, value in sizes.items()))
        self.struct = _library.Request(
            name=encoded("name", name), constants=self.constants, constant_count=len(constants),
            sizes=self.sizes, size_count=len(sizes), debug=choice("debug", debug, DEBUG))
        if device is not None:
            self.struct.has_device = 1
            self.struct.device = integer("device", device, 0, (1 << 31) - 1)


class Requests:
    """Pointers to cubinet_requests, and what they point to."""

    def __init__(self, kernels: Sequence[KernelSpec]):
        self.kept = [Request(kernel.name, kernel.constants, kernel.sizes, kernel.device,
                              kernel.debug) for kernel in kernels]
        self.pointers = (ctypes.c_void_p * len(self.kept))(
            *(ctypes.addressof(request.struct) for request in self.kept))


def merged(constants: Optional[Mapping[str, Any]], more: Mapping[str, Any]) -> Mapping[str, Any]:
    if not constants:
        return more
    twice = constants.keys() & more.keys()
    if twice:
        raise InvalidArgumentError(f"take constants: {', '.join(sorted(twice))} given twice; give "
                                   "each once, in the dict or as a keyword")
    return {**constants, **more}
