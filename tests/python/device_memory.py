"""Device memory, streams and graphs by the CUDA driver alone, and numbers as kernels store them."""

import bisect
import ctypes
import os
import struct

DTYPES = {"bfloat16": ("<V2", "H"), "float32": ("<f4", "f"), "int32": ("<i4", "i"),
          "float8_e4m3fn": ("|V1", "B"), "uint8": ("|u1", "B")}
GUARD, GUARD_BYTES, POISON = 0xA5, 256, 0xFF  # the poison is a NaN in every dtype


class Gpu:
    """The first device, its primary context made current."""

    def __init__(self):
        self.library = ctypes.CDLL(os.environ.get("CUBINET_DRIVER") or "libcuda.so.1")
        context = ctypes.c_void_p()
        self("cuInit", 0)
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self("cuCtxSetCurrent", context)

    def __call__(self, function, *arguments):
        status = getattr(self.library, function)(*arguments)
        if status:
            raise RuntimeError(f"{function}: CUDA error {status}")

    def capability(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self("cuDeviceGetAttribute", ctypes.byref(major), 75, 0)
        self("cuDeviceGetAttribute", ctypes.byref(minor), 76, 0)
        return major.value, minor.value

    def stream(self):
        handle = ctypes.c_void_p()
        self("cuStreamCreate", ctypes.byref(handle), 1)  # does not wait for the default stream
        return handle.value

    def wait(self, stream=0):
        self("cuStreamSynchronize", ctypes.c_void_p(stream))

    def capture(self, stream, call):
        """The graph, ready to launch, of what `call` puts into the stream."""
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        self("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), 0)  # of the whole process
        call()
        self("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        self("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, ctypes.c_uint64(0))
        return executable


class Array:
    """A tensor that speaks __cuda_array_interface__, between guards; or a part of another."""

    def __init__(self, gpu, shape, dtype, values=None):
        self.gpu, self.shape, self.dtype = gpu, tuple(shape), dtype
        self.count = 1
        for extent in shape:
            self.count *= extent
        self.bytes = self.count * struct.calcsize(DTYPES[dtype][1])
        steps = [1]
        for extent in reversed(self.shape[1:]):
            steps.insert(0, steps[0] * extent)
        self.strides = tuple(steps)  # in elements
        memory = ctypes.c_uint64()
        gpu("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(self.bytes + 2 * GUARD_BYTES))
        self.first = self.address = memory.value + GUARD_BYTES
        self.poison()
        if values is not None:
            self.write(values)

    def __getitem__(self, parts):
        """A slice of the last dimensions, as of a torch.Tensor."""
        part = object.__new__(Array)
        part.__dict__.update(self.__dict__)
        size = struct.calcsize(DTYPES[self.dtype][1])
        shape = list(self.shape)
        for index, piece in enumerate(parts):
            first, last, _ = piece.indices(shape[index])
            part.address += first * self.strides[index] * size
            shape[index] = last - first
        part.shape = tuple(shape)
        return part

    @property
    def __cuda_array_interface__(self):
        typestr, code = DTYPES[self.dtype]
        return {"shape": self.shape, "typestr": typestr, "version": 3,
                "data": (self.address, False),
                "strides": tuple(step * struct.calcsize(code) for step in self.strides)}

    def poison(self):
        whole = bytes([GUARD]) * GUARD_BYTES
        self._copy_in(self.first - GUARD_BYTES, whole + bytes([POISON]) * self.bytes + whole)

    def write(self, values):
        self._copy_in(self.first, struct.pack(f"<{self.count}{DTYPES[self.dtype][1]}", *values))

    def _copy_in(self, address, data):
        self.gpu("cuMemcpyHtoD_v2", ctypes.c_uint64(address), data, ctypes.c_size_t(len(data)))

    def read(self):
        """All elements as they are stored, in order. Raises AssertionError for a broken guard."""
        data = ctypes.create_string_buffer(self.bytes + 2 * GUARD_BYTES)
        self.gpu("cuMemcpyDtoH_v2", data, ctypes.c_uint64(self.first - GUARD_BYTES),
                 ctypes.c_size_t(len(data)))
        guard = bytes([GUARD]) * GUARD_BYTES
        assert data.raw[:GUARD_BYTES] == guard == data.raw[-GUARD_BYTES:], "written out of bounds"
        return struct.unpack(f"<{self.count}{DTYPES[self.dtype][1]}",
                             data.raw[GUARD_BYTES:-GUARD_BYTES])


def bf16_of(value):
    """The bits of the nearest bfloat16, ties to even."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def of_bf16(bits):
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0]


def of_e4m3(code):
    """NaN for the two codes that are none."""
    exponent, fraction = code >> 3 & 15, code & 7
    if exponent == 15 and fraction == 7:
        return float("nan")
    value = (fraction / 8 * 2.0**-6 if exponent == 0 else (1 + fraction / 8) * 2.0**(exponent - 7))
    return -value if code & 128 else value


def e4m3_of(value):
    """The code of the nearest finite one, ties to even."""
    size = min(abs(value), 448.0)
    above = bisect.bisect_left(_POSITIVE, size)
    code = above
    if above:
        low, high = size - _POSITIVE[above - 1], _POSITIVE[above] - size
        code = above - 1 if low < high or (low == high and above % 2) else above
    return code | (128 if value < 0 else 0)


_POSITIVE = [of_e4m3(code) for code in range(127)]
