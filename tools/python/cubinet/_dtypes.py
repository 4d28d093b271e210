"""Element types: numbers of the C interface, and the names that other libraries give them."""

from __future__ import annotations

F32, F16, BF16, E4M3, E5M2, I32, I8, U8 = range(1, 9)

# By the name in signatures and manifests.
NAMES = {F32: "f32", F16: "f16", BF16: "bf16", E4M3: "e4m3", E5M2: "e5m2", I32: "i32", I8: "i8",
         U8: "u8"}
# By str() of the dtypes of torch (less "torch."), NumPy, CuPy and ml_dtypes.
BY_LONG_NAME = {"float32": F32, "float": F32, "float16": F16, "half": F16, "bfloat16": BF16,
                "float8_e4m3fn": E4M3, "float8_e5m2": E5M2, "int32": I32, "int8": I8, "uint8": U8}
LONG_NAMES = {F32: "float32", F16: "float16", BF16: "bfloat16", E4M3: "float8_e4m3fn",
              E5M2: "float8_e5m2", I32: "int32", I8: "int8", U8: "uint8"}
BYTES = {F32: 4, F16: 2, BF16: 2, E4M3: 1, E5M2: 1, I32: 4, I8: 1, U8: 1}
CODES = (E4M3, U8)  # 8-bit floats, or their bits
BY_TYPESTR = {"f4": F32, "f2": F16, "i4": I32, "i1": I8, "u1": U8}
# DLPack's (type code, bits).
BY_DLPACK = {(2, 32): F32, (2, 16): F16, (4, 16): BF16, (10, 8): E4M3, (12, 8): E5M2, (0, 32): I32,
             (0, 8): I8, (1, 8): U8}
# What tensors of shipped kernels may be, for error texts.
READABLE = "float32, float16, bfloat16, float8_e4m3fn, uint8 or int32"


def of_name(dtype: object) -> int:
    """The number of a dtype object of torch, NumPy or the like; 0 if it has none here."""
    return BY_LONG_NAME.get(str(dtype).rpartition(".")[2], 0)
