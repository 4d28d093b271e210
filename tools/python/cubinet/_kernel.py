"""Kernel: a loaded, launchable kernel."""

from __future__ import annotations

import ctypes
import struct
from ctypes import byref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple, Union

from . import _dtypes, _library, _streams
from ._errors import check
from ._library import C
from ._numbers import integer

if TYPE_CHECKING:
    from ._runtime import Runtime

Extent = Union[int, Sequence[int]]
ConstantValue = Union[bool, int, str]

_BOOL, _INT, _DTYPE, _TEXT = 1, 2, 3, 4
_LAST = (1 << 32) - 1  # of a uint32_t
_NO_CLUSTER = (0, 0, 0)
# cubinet_launch_config, packed in one go: ctypes would take a call for each field.
_CONFIG = struct.Struct("@QQ9IIii")


@dataclass(frozen=True)
class KernelInfo:
    """What is known of a kernel without launching it."""

    name: str  #: the template
    signature: str  #: canonical: template[constants]@arch
    symbol: str  #: what a profiler shows
    arch: str  #: "sm_90a"
    params_bytes: int  #: size of the Params struct that the kernel takes
    registers: int  #: per thread
    smem_bytes: int  #: static shared memory per block
    spill_bytes: int  #: spill stores + spill loads, per thread
    max_threads: int  #: largest block
    toolchain: str  #: the build of NVRTC that made it
    constants: Dict[str, ConstantValue]  #: as resolved, chosen tunables included; dtypes by name


def _extent(name: str, value: Extent) -> Tuple[int, int, int]:
    if type(value) is int and 0 < value <= _LAST:
        return value, 1, 1
    extent: Any = value
    if not isinstance(value, (tuple, list)):
        extent = tuple(value) if hasattr(value, "__iter__") else (value,)  # type: ignore[arg-type]
    if not 1 <= len(extent) <= 3:
        raise TypeError(f"expected {name} to be an int or 1 to 3 ints, got {value!r}")
    x, y, z = [integer(name, item, 1, _LAST) for item in extent] + [1] * (3 - len(extent))
    return x, y, z


def _constant_value(constant: _library.Constant) -> ConstantValue:
    if constant.kind == _BOOL:
        return constant.number != 0
    if constant.kind == _INT:
        return constant.number
    if constant.kind == _DTYPE:
        return _dtypes.NAMES.get(constant.number, "?")
    return constant.text.decode()


class Kernel:
    """A kernel that its Runtime holds; valid until that Runtime is closed.

    Threads: every method may be called from any thread.
    """

    __slots__ = ("_runtime", "_handle", "_info")

    def __init__(self, runtime: "Runtime", handle: int):
        self._runtime = runtime
        self._handle = handle
        self._info: Optional[KernelInfo] = None

    def _alive(self) -> int:
        self._runtime._alive()
        return self._handle

    @property
    def info(self) -> KernelInfo:
        """Registers, shared memory, resolved constants and the like."""
        if self._info is None:
            self._info = self._describe()
        return self._info

    def _describe(self) -> KernelInfo:
        handle = self._alive()
        raw = _library.KernelInfo()
        check(C.cubinet_kernel_describe(handle, byref(raw)))
        constants: Dict[str, ConstantValue] = {}
        constant = _library.Constant()
        for index in range(raw.constant_count):
            check(C.cubinet_kernel_constant_at(handle, index, byref(constant)))
            constants[constant.name.decode()] = _constant_value(constant)
        return KernelInfo(raw.name.decode(), raw.signature.decode(), raw.symbol.decode(),
                          raw.arch.decode(), raw.params_bytes, raw.registers, raw.smem_bytes,
                          raw.spill_bytes, raw.max_threads, raw.toolchain.decode(), constants)

    def launch(self, grid: Extent, block: Extent, params: Any, *, stream: Any = None,
               smem_bytes: int = 0, cluster: Optional[Extent] = None,
               programmatic_dependent: bool = False) -> None:
        """Launches the kernel. Asynchronous, like any launch.

        grid, block, cluster: an int, or up to three; in blocks, threads, blocks.
        params: the template's Params struct by value, as a ctypes.Structure or as bytes; its size
            must be what the kernel takes (info.params_bytes).
        stream: an int, torch.cuda.Stream, cupy.cuda.Stream or object with __cuda_stream__();
            default: the current stream of torch if it uses CUDA, else of CuPy if that is imported,
            else the legacy default stream. 0 is the legacy default stream.
        smem_bytes: dynamic shared memory.
        programmatic_dependent: the kernel may start before its predecessor in the stream ends.

        Raises InvalidArgumentError (a ValueError) for sizes that cannot be right, DriverError with
        CUDA's own error, TypeError for arguments of the wrong type.
        """
        size: int
        address: Any
        if not isinstance(params, ctypes.Structure):
            try:
                params = bytes(memoryview(params))
            except TypeError:
                raise TypeError("expected params to be a ctypes.Structure or bytes, got "
                                f"{type(params).__name__}") from None
            size, address = len(params), params
        else:
            size, address = ctypes.sizeof(params), byref(params)
        config = _CONFIG.pack(
            _CONFIG.size, _streams.current() if stream is None else _streams.handle_of(stream),
            *_extent("grid", grid), *_extent("block", block),
            *(_NO_CLUSTER if cluster is None else _extent("cluster", cluster)),
            smem_bytes and integer("smem_bytes", smem_bytes, 0, _LAST),
            bool(programmatic_dependent), 0)
        check(C.cubinet_kernel_launch(self._alive(), config, address, size))

    def prepare(self) -> None:
        """Makes the kernel ready in the current context, so that no later launch there loads
        anything: not within a stream capture, not between collectives."""
        check(C.cubinet_kernel_prepare(self._alive()))

    def max_active_blocks(self, threads: int, smem_bytes: int = 0) -> int:
        """Blocks of `threads` that one multiprocessor of the current device holds at once."""
        blocks = ctypes.c_int32()
        check(C.cubinet_kernel_max_active_blocks(self._alive(), threads, smem_bytes,
                                                 byref(blocks)))
        return blocks.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kernel) and self._handle == other._handle

    def __hash__(self) -> int:
        return hash(self._handle)

    def __reduce__(self) -> Any:
        raise TypeError("a Kernel cannot be copied or pickled: it is loaded in this process; get "
                        "it where it is needed")

    def __repr__(self) -> str:
        if self._info is None and self._runtime._handle is None:
            return "<cubinet.Kernel of a closed Runtime>"
        return f"<cubinet.Kernel {self.info.signature}>"
