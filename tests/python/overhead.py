"""Host time of the calls that matter, without a GPU's share of it.

usage: CUBINET_DRIVER=build/release/tests/libfake_cuda.so python3 tests/python/overhead.py

The fake driver keeps every launch, so each figure is the least of many short rounds.
"""

import ctypes
import time

import cubinet
from cubinet import _library
from support import TorchTensor, WithTorch, driver, merge_operands


class Fast(TorchTensor):
    """As cheap to ask as a tensor that is written in C."""

    def __init__(self, *shape, **more):
        super().__init__(*shape, **more)
        self.data_ptr = self.address.__int__
        self.get_device = self.ordinal.__int__
        self.stride = (lambda strides=self.strides_: strides)

    dtype = property(lambda self: self.__dict__["dtype_"])
    is_cuda = True
    requires_grad = False


def best_ns(call, rounds=300, calls=20):
    """The least time per call, in nanoseconds."""
    best = 1 << 60
    for _ in range(rounds):
        start = time.perf_counter_ns()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter_ns() - start)
    return best / calls


def main():
    driver.use(0)
    with WithTorch() as torch:
        tensors = merge_operands(Fast, n=64, h=32)
        for tensor in tensors:
            tensor.__dict__["dtype_"] = torch.dtypes[tensor.dtype_name]
        merge = best_ns(lambda: cubinet.kernels.merge_attn_states(*tensors))
        kernel = cubinet.get_kernel("merge_attn_states", HEAD_SIZE=128, INPUT_TYPE="bf16")
        params = bytes(kernel.info.params_bytes)
        launch = best_ns(lambda: kernel.launch(64, 128, params, stream=0))
        get = best_ns(lambda: cubinet.get_kernel("merge_attn_states", HEAD_SIZE=128,
                                                 INPUT_TYPE="bf16", sizes={"num_tokens": 64}))
    config = _library.LaunchConfig(grid=(64, 1, 1), block=(128, 1, 1))
    bare = best_ns(lambda: _library.C.cubinet_kernel_launch(
        kernel._handle, ctypes.byref(config), params, len(params)))
    print(f"one cubinet_kernel_launch through ctypes: {bare / 1000:.2f} us")
    print(f"Kernel.launch:                            {launch / 1000:.2f} us")
    print(f"get_kernel, in memory:                    {get / 1000:.2f} us")
    print(f"kernels.merge_attn_states:                {merge / 1000:.2f} us")


if __name__ == "__main__":
    main()
