"""Many kernels ahead: what is asked for, and what became of it."""

from __future__ import annotations

import ctypes
from ctypes import byref
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from . import _library
from ._errors import Error, check, last_error
from ._library import C

OUTCOMES = ("in_memory", "found", "compiled", "made_elsewhere", "failed")
_LONGEST_S = 1e9
Progress = Callable[[int, int, str, str], None]


class KernelSpec:
    """Which kernel, in the words of get_kernel: KernelSpec("name", SIZE=128, sizes={...})."""

    def __init__(self, name: str, constants: Optional[Mapping[str, Any]] = None,
                 sizes: Optional[Mapping[str, int]] = None, device: Optional[int] = None,
                 debug: str = "none", **more: Any):
        self.name = name
        self.constants: Dict[str, Any] = {**(constants or {}), **more}
        self.sizes = dict(sizes or {})
        self.device = device
        self.debug = debug

    def __repr__(self) -> str:
        constants = "".join(f", {name}={value!r}" for name, value in self.constants.items())
        sizes = f", sizes={self.sizes}" if self.sizes else ""
        return f"KernelSpec({self.name!r}{constants}{sizes})"


@dataclass(frozen=True)
class WarmUpReport:
    """What became of a list of kernels; those that are not in `failures` are ready."""

    kernels: int  #: the sum of the next five
    in_memory: int  #: loaded already
    found: int  #: in the cache directory or in a pack
    compiled: int  #: here
    made_elsewhere: int  #: by another process, meanwhile
    failed: int
    seconds: float
    failures: List[Tuple[str, Error]] = field(default_factory=list)  #: signature and error

    @property
    def ok(self) -> bool:
        return self.failed == 0


def read_report(handle: int) -> WarmUpReport:
    """The report behind a cubinet_warm_up; waits until all are done."""
    raw = _library.WarmUpReport()
    check(C.cubinet_warm_up_describe(handle, byref(raw)))
    failures = []
    for index in range(raw.failed):
        kernel = ctypes.c_char_p()
        status = C.cubinet_warm_up_failure(handle, index, byref(kernel))
        failures.append(((kernel.value or b"").decode(), last_error(status)))
    return WarmUpReport(raw.kernels, raw.in_memory, raw.found, raw.compiled, raw.made_elsewhere,
                        raw.failed, raw.elapsed_us / 1e6, failures)


class Prefetch:
    """Kernels that are being made ready in the background. It may be dropped: they come anyhow."""

    def __init__(self, handle: int):
        self._handle = handle
        self._report: Optional[WarmUpReport] = None

    def done(self) -> bool:
        """Whether all are ready or have failed; returns at once."""
        return self._wait(0)

    def result(self, timeout: Optional[float] = None) -> WarmUpReport:
        """Waits for all of them, `timeout` seconds at most, and then raises TimeoutError."""
        endless = timeout is None or timeout > _LONGEST_S
        if not self._wait(-1 if endless else max(int(timeout * 1000), 0)):
            raise TimeoutError(f"wait for kernels: {timeout} s have passed; they are still under "
                               "way")
        if self._report is None:
            self._report = read_report(self._handle)
        return self._report

    def _wait(self, timeout_ms: int) -> bool:
        done = ctypes.c_int32()
        check(C.cubinet_warm_up_wait(self._handle, timeout_ms, byref(done)))
        return done.value != 0

    def __del__(self) -> None:
        if C is not None:  # at the end of Python nothing is left of modules
            C.cubinet_warm_up_free(self._handle)


class Told:
    """A progress function of Python's, as the library calls it; keeps what it raises."""

    def __init__(self, progress: Optional[Progress]):
        self.error: Optional[BaseException] = None
        self._progress = progress
        self.function = _library.ProgressFunction(self._call if progress else 0)

    def _call(self, _: Any, done: int, total: int, kernel: bytes, outcome: int) -> int:
        try:
            self._progress(done, total, kernel.decode(errors="replace"), OUTCOMES[outcome])
        except BaseException as error:  # KeyboardInterrupt too ends the warm-up
            self.error = error
            return 1
        return 0
