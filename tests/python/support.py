"""What these tests share: the fake CUDA driver, tensors made of nothing, and a torch made of little.

The driver is the one that CUBINET_DRIVER names, see tests/support/fake_driver.hpp.
"""

import ctypes
import itertools
import os
import sys
import types
import unittest
from pathlib import Path

import cubinet

SOURCES = Path(__file__).resolve().parents[2]
SIZES = {"float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "uint8": 1, "float64": 8,
         "int32": 4}

_addresses = itertools.count(0x7000_0000_0000, 1 << 32)


def contiguous(shape):
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


class Launch(ctypes.Structure):
    _fields_ = [("symbol", ctypes.c_char * 160), ("params", ctypes.c_ubyte * 1024),
                ("params_bytes", ctypes.c_uint64), ("stream", ctypes.c_void_p),
                ("grid", ctypes.c_uint32 * 3), ("block", ctypes.c_uint32 * 3),
                ("cluster", ctypes.c_uint32 * 3), ("smem_bytes", ctypes.c_uint32),
                ("programmatic", ctypes.c_int32), ("device", ctypes.c_int32)]


class Params(ctypes.Structure):
    """kernel_templates/merge_attn_states/params.h."""

    _fields_ = [(name, ctypes.c_uint64) for name in (
        "prefix_output", "suffix_output", "prefix_lse", "suffix_lse", "output", "output_lse",
        "output_scale")] + [(name, ctypes.c_uint32) for name in (
            "num_tokens", "num_context_tokens", "input_head_stride", "output_head_stride",
            "num_heads", "multiplier", "shift", "reserved")] + [(name, ctypes.c_uint64) for name in (
                "output_group_scales", "scale_token_stride", "scale_group_stride")]


class FakeDriver:
    def __init__(self):
        self.path = os.environ["CUBINET_DRIVER"]
        self.library = ctypes.CDLL(self.path)
        self.library.fake_cuda_launch_count.restype = ctypes.c_size_t

    def launches(self):
        return self.library.fake_cuda_launch_count()

    def launch(self, index):
        launch = Launch()
        self.library.fake_cuda_launch(ctypes.c_size_t(index), ctypes.byref(launch))
        return launch

    def last(self):
        return self.launch(self.launches() - 1)

    def use(self, device):
        """Makes the primary context of a device current on this thread."""
        context = ctypes.c_void_p()
        assert self.library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0
        assert self.library.cuCtxSetCurrent(context) == 0


driver = FakeDriver()


class Tensor:
    """A tensor without memory; subclasses say how others see it."""

    def __init__(self, *shape, dtype="bfloat16", strides=None, address=None, device=0,
                 readonly=False, stream=None, grad=False):
        self.shape = tuple(shape)
        self.dtype_name = dtype
        self.strides_ = contiguous(self.shape) if strides is None else tuple(strides)
        self.address = next(_addresses) if address is None else address
        self.ordinal = device
        self.readonly = readonly
        self.producer_stream = stream
        self.grad = grad


class InterfaceTensor(Tensor):
    """Speaks __cuda_array_interface__."""

    TYPESTR = {"float32": "<f4", "float16": "<f2", "uint8": "|u1", "float64": "<f8",
               "int32": "<i4", "bfloat16": "<V2", "float8_e4m3fn": "|V1"}

    @property
    def dtype(self):
        return self.dtype_name

    @property
    def device(self):
        return types.SimpleNamespace(id=self.ordinal)

    @property
    def __cuda_array_interface__(self):
        size = SIZES[self.dtype_name]
        dense = self.strides_ == contiguous(self.shape)
        return {"shape": self.shape, "typestr": self.TYPESTR[self.dtype_name], "version": 3,
                "data": (self.address, self.readonly), "stream": self.producer_stream,
                "strides": None if dense else tuple(s * size for s in self.strides_)}


class DlpackTensor(Tensor):
    """Speaks __dlpack__, as a producer does that is written in C; counts what becomes of it."""

    CODES = {"float32": (2, 32), "float16": (2, 16), "bfloat16": (4, 16),
             "float8_e4m3fn": (10, 8), "uint8": (1, 8), "float64": (2, 64),
             "int32": (0, 32)}

    def __init__(self, *shape, device_type=2, **more):
        super().__init__(*shape, **more)
        self.device_type = device_type
        self.streams = []
        self.deleted = 0
        self.capsules = []
        self._kept = []

    def __dlpack_device__(self):
        return self.device_type, self.ordinal

    def __dlpack__(self, stream=None):
        from cubinet import _dlpack

        self.streams.append(stream)
        managed = _dlpack._Managed()
        raw = managed.tensor
        count = len(self.shape)
        shape = (ctypes.c_int64 * count)(*self.shape)
        strides = (ctypes.c_int64 * count)(*self.strides_)
        raw.data, raw.byte_offset = self.address - 64, 64
        raw.device_type, raw.device_id, raw.ndim = self.device_type, self.ordinal, count
        raw.code, raw.bits = self.CODES[self.dtype_name]
        raw.lanes = 1
        raw.shape = ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64))
        if self.strides_ != contiguous(self.shape):
            raw.strides = ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64))

        def delete(address):
            assert address == ctypes.addressof(managed)
            self.deleted += 1

        deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(delete)
        managed.deleter = ctypes.cast(deleter, ctypes.c_void_p)
        self._kept += [managed, shape, strides, deleter]
        make = ctypes.pythonapi.PyCapsule_New
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        capsule = make(ctypes.addressof(managed), b"dltensor", None)
        self.capsules.append(capsule)
        return capsule


class TorchTensor(Tensor):
    """What of torch.Tensor is used. Counts no synchronisation because there is nothing to ask."""

    @property
    def dtype(self):
        return FakeTorch.dtypes[self.dtype_name]

    @property
    def device(self):
        return "cpu" if self.ordinal < 0 else f"cuda:{self.ordinal}"

    @property
    def is_cuda(self):
        return self.ordinal >= 0

    @property
    def requires_grad(self):
        return self.grad

    def get_device(self):
        return self.ordinal

    def data_ptr(self):
        return self.address

    def stride(self):
        return self.strides_


class _Dtype:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return "torch." + self.name


class FakeTorch(types.ModuleType):
    """A torch with a current device, a current stream per device, and nothing else."""

    dtypes = {name: _Dtype(name) for name in SIZES}

    def __init__(self):
        super().__init__("torch")
        self.Tensor = TorchTensor
        self.__dict__.update(self.dtypes)
        self.made = []
        self.grad_mode = True
        self.streams = {0: 0x51, 1: 0x52}
        self.ordinal = 0
        outer = self

        class device:
            def __init__(self, index):
                self.index = index

            def __enter__(self):
                self.before = outer.ordinal
                outer.ordinal = self.index
                driver.use(self.index)

            def __exit__(self, *_):
                outer.ordinal = self.before
                driver.use(self.before)

        self.cuda = types.SimpleNamespace(
            is_initialized=lambda: True, current_device=lambda: self.ordinal, device=device,
            current_stream=lambda index: types.SimpleNamespace(cuda_stream=self.streams[index]))
        self._C = types.SimpleNamespace(_cuda_getCurrentRawStream=lambda i: self.streams[i])

    def is_grad_enabled(self):
        return self.grad_mode

    def empty(self, *shape, dtype, device):
        ordinal = int(device.rpartition(":")[2])
        self.made.append(TorchTensor(*shape, dtype=dtype.name, device=ordinal))
        return self.made[-1]


class WithTorch:
    """Puts a FakeTorch in the place of torch."""

    def __enter__(self):
        from cubinet import _streams

        self.before = sys.modules.get("torch")
        sys.modules["torch"] = torch = FakeTorch()
        _streams._torch_stream = None
        return torch

    def __exit__(self, *_):
        from cubinet import _streams

        del sys.modules["torch"]
        if self.before is not None:
            sys.modules["torch"] = self.before
        _streams._torch_stream = None


class CupyArray(InterfaceTensor):
    """What of cupy.ndarray is used."""

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.address)

    @property
    def strides(self):
        return tuple(stride * SIZES[self.dtype_name] for stride in self.strides_)


class WithCupy:
    """Puts a CuPy with a current device, and a current stream per device, in the place of cupy."""

    def __enter__(self):
        self.current = [0]
        outer = self

        class Device:
            def __init__(self, index):
                self.index = index

            def __enter__(self):
                outer.current.append(self.index)
                driver.use(self.index)

            def __exit__(self, *_):
                outer.current.pop()
                driver.use(outer.current[-1])

        self.made = []

        self.captures = False

        def empty(shape, dtype):
            self.made.append(CupyArray(*shape, dtype=dtype, device=self.current[-1]))
            return self.made[-1]

        sys.modules["cupy"] = types.SimpleNamespace(
            ndarray=CupyArray, empty=empty, cuda=types.SimpleNamespace(
                Device=Device, get_current_stream=lambda: types.SimpleNamespace(
                    ptr=0xC0 + self.current[-1], is_capturing=lambda: self.captures)))
        return self

    def __exit__(self, *_):
        del sys.modules["cupy"]


class TestCase(unittest.TestCase):
    """Starts with the context of device 0 current."""

    def setUp(self):
        driver.use(0)

    def refused(self, kind, says, function, *arguments, **more):
        """The call raises `kind`, says all of `says`, and launches nothing."""
        before = driver.launches()
        with self.assertRaises(kind) as caught:
            function(*arguments, **more)
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, str(caught.exception))
        self.assertEqual(driver.launches(), before)
        return caught.exception


def merge_operands(kind=InterfaceTensor, n=5, h=3, d=128, dtype="float16", output=None, **more):
    """The five tensors that every merge needs, in order."""
    return [kind(n, h, d, dtype=output or dtype, **more), kind(n, h, d, dtype=dtype, **more),
            kind(h, n, dtype="float32", **more), kind(n, h, d, dtype=dtype, **more),
            kind(h, n, dtype="float32", **more)]


assert cubinet.LIBRARY_PATH
