"""What a Runtime did, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """What a Runtime did; each number only grows."""

    disk_hits: int
    misses: int  #: not in memory and not on disk
    compiles: int
    compile_failures: int
    published: int
    publish_failures: int  #: disk full, read-only, ...: the kernel was served
    quarantined: int  #: damaged entries moved aside
    lock_waits: int  #: waits for another process
    lock_timeouts: int
    evicted: int  #: entries removed to keep the cache within its bounds
    evicted_bytes: int
    memory_hits: int
    memory_kernels: int  #: loaded so far; they stay loaded
    memory_bytes: int  #: of their cubins
    compile_us: int
    saved_us: int  #: that hits on disk and in packs once took to compile
    churn_warnings: int  #: templates of which ever new signatures were asked
    churn_refusals: int  #: requests that were refused for it
    pack_hits: int


@dataclass(frozen=True)
class PrecompileReport:
    """What precompile did for one kernel."""

    name: str
    signature: str
    arch: str
    key: str  #: 64 hex digits
    hit: bool
    compile_ms: float  #: of the compile that made it, also on a hit
    registers: int
    smem_bytes: int
    spill_bytes: int
    cubin_bytes: int
    toolchain: str  #: the build of NVRTC that made it
