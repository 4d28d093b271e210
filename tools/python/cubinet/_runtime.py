"""Runtime: templates, compiler, cache and loaded kernels of one process."""

from __future__ import annotations

import atexit
import ctypes
import math
import os
from ctypes import byref
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from . import _library
from ._errors import InvalidArgumentError, check
from ._kernel import Kernel
from ._library import C
from ._reports import PrecompileReport, Stats
from ._request import Request, Requests, choice, merged
from ._warm_up import KernelSpec, Prefetch, Progress, Told, WarmUpReport, read_report

Path = Union[str, "os.PathLike[str]"]
LogSink = Callable[[str, str], None]

MODES = {"auto": 0, "readonly": 1, "frozen": 2}
TOOLCHAINS = {"exact": 0, "release": 1, "any": 2}
CHURN = {"warn": 0, "off": 1, "error": 2}
TUNING = {"recorded": 0, "off": 1, "on_miss": 2}
LOG_LEVELS = {"debug": 1, "info": 2, "warning": 3, "error": 4, "off": 5}
_LEVEL_NAMES = {number: name for name, number in LOG_LEVELS.items()}
_INT64 = (-(1 << 63), (1 << 63) - 1)
_NO_BOUND = (1 << 64) - 1  # CUBINET_NO_BOUND

# Log functions of Runtimes that were never closed: the library may call them until the end.
_kept_log_functions: List[Any] = []
# Threads of the library may have something to say when Python can no longer be called.
atexit.register(C.cubinet_stop_logs)


class Runtime:
    """Finds, compiles, caches and loads kernels.

    Runtime(**options) reads no CUBINET_* variable; Runtime.from_environment(**options) takes what
    is not given from them. Options, all optional:

    cache_dir: directory of cached kernels        memory_only: have no directory
    mode: "auto", "readonly" or "frozen"          toolchain: "exact", "release" or "any"
    packs: packs that are asked for what the directory does not have
    pack_toolchain: as toolchain, for entries of packs; default: "release"
    trust_group: trust a directory or pack that its group may write to
    template_path: directories whose templates override shipped ones
    nvrtc, driver, cuda_home, reproduction_dir: paths; searched or derived otherwise
    record_file: file to which every distinct request is appended, for cubinet precompile --from
    max_cache_bytes: what the cache directory may take on disk; math.inf: no cap
    min_free_bytes: free space that the cache leaves to others; 0: none
    lock_timeout_ms: longest wait for another process that compiles the same kernel; 0: none
    churn: "warn", "off" or "error": what ever new signatures of one template are
    churn_limit: as many signatures of one template are expected in a process
    tuning: "recorded", "off" or "on_miss": where tunables come from that are not pinned
    tuning_files: files of tuning records, as cubinet tune writes them
    tuning_budget_ms: for the measurements of one signature where tuning is "on_miss"
    trace_file: trace events for Perfetto; %p in its name becomes the process id
    log: called with (level, line) from any thread, until close(); default: stderr
    log_level: "debug", "info", "warning", "error" or "off"

    Threads: every method may be called from any thread; a compile releases the GIL.
    A Runtime lives until the process ends unless close() is called: its kernels may be running.
    """

    def __init__(self, **options: Any):
        self._make(_library.RuntimeOptions(), options)

    @classmethod
    def from_environment(cls, **options: Any) -> "Runtime":
        """A Runtime with the options that CUBINET_* variables describe, but for those given."""
        struct = _library.RuntimeOptions()
        check(C.cubinet_runtime_options_from_environment(byref(struct)))
        self = cls.__new__(cls)
        self._make(struct, options)
        return self

    def _make(self, struct: _library.RuntimeOptions, options: Dict[str, Any]) -> None:
        self._handle: Optional[int] = None
        self._kept: List[Any] = []
        for name, value in options.items():
            setter = _OPTIONS.get(name)
            if setter is None:
                raise TypeError(f"Runtime got an unexpected option {name!r}; expected "
                                f"{', '.join(_OPTIONS)}")
            if value is not None:
                setter(self, struct, name, value)
        handle = ctypes.c_void_p()
        check(C.cubinet_runtime_create(byref(struct), byref(handle)))
        self._handle = handle.value
        _kept_log_functions.extend(self._kept)

    # ---- Options ----

    def _set_path(self, struct: _library.RuntimeOptions, name: str, value: Path) -> None:
        setattr(struct, name, os.fsencode(value))

    def _set_paths(self, struct: _library.RuntimeOptions, name: str, value: Sequence[Path]) -> None:
        if isinstance(value, (str, bytes, os.PathLike)):
            raise TypeError(f"expected {name} to be a sequence of paths, got {value!r}")
        paths = (ctypes.c_char_p * len(value))(*(os.fsencode(path) for path in value))
        field, count = {"template_path": ("template_path", "template_path_count"),
                        "packs": ("packs", "pack_count"),
                        "tuning_files": ("tuning_files", "tuning_file_count")}[name]
        setattr(struct, field, paths)
        setattr(struct, count, len(value))

    def _set_flag(self, struct: _library.RuntimeOptions, name: str, value: bool) -> None:
        setattr(struct, name, bool(value))

    def _set_choice(self, struct: _library.RuntimeOptions, name: str, value: str) -> None:
        field, choices = {"mode": ("mode", MODES), "toolchain": ("toolchain_policy", TOOLCHAINS),
                          "churn": ("churn", CHURN), "tuning": ("tuning", TUNING),
                          "log_level": ("log_level", LOG_LEVELS)}[name]
        setattr(struct, field, choice(name, value, choices))

    def _set_pack_toolchain(self, struct: _library.RuntimeOptions, name: str, value: str) -> None:
        struct.pack_toolchain = choice(name, value, TOOLCHAINS) + 1

    def _set_timeout(self, struct: _library.RuntimeOptions, name: str, value: int) -> None:
        if value < 0:
            raise InvalidArgumentError(f"read {name}: {value} is not valid; expected 0 or more")
        struct.lock_timeout_ms = value or -1

    def _set_budget(self, struct: _library.RuntimeOptions, name: str, value: int) -> None:
        if not (isinstance(value, int) and 0 < value <= _INT64[1]):
            raise InvalidArgumentError(f"read {name}: {value!r} is not valid; expected a number of "
                                       "milliseconds, 1 or more")
        struct.tuning_budget_ms = value

    def _set_limit(self, struct: _library.RuntimeOptions, name: str, value: int) -> None:
        if not (isinstance(value, int) and 0 < value <= _INT64[1]):
            raise InvalidArgumentError(f"read {name}: {value!r} is not valid; expected a number of "
                                       "signatures, 1 or more")
        struct.churn_limit = value

    def _set_cap(self, struct: _library.RuntimeOptions, name: str, value: float) -> None:
        if value != math.inf and not (isinstance(value, int) and 0 < value < _NO_BOUND):
            raise InvalidArgumentError(f"read {name}: {value!r} is not valid; expected a number of "
                                       "bytes from 1, or math.inf for no cap")
        struct.max_cache_bytes = _NO_BOUND if value == math.inf else int(value)

    def _set_floor(self, struct: _library.RuntimeOptions, name: str, value: int) -> None:
        if not (isinstance(value, int) and 0 <= value < _NO_BOUND):
            raise InvalidArgumentError(f"read {name}: {value!r} is not valid; expected a number of "
                                       "bytes, or 0 for no floor")
        struct.min_free_bytes = value or _NO_BOUND

    def _set_log(self, struct: _library.RuntimeOptions, name: str, value: LogSink) -> None:
        def log(_: Any, level: int, line: bytes) -> None:
            value(_LEVEL_NAMES.get(level, "?"), line.decode(errors="replace"))

        struct.log = _library.LogFunction(log)
        self._kept.append(struct.log)

    # ---- Life ----

    def _alive(self) -> int:
        if self._handle is None:
            raise InvalidArgumentError("use Runtime: it is closed; make another")
        return self._handle

    def close(self) -> None:
        """Ends the Runtime and every kernel of it. Requires: kernels that were launched have
        finished, and no other thread uses it. The shared one stays."""
        if self._handle is None or self is _shared:
            return
        C.cubinet_runtime_destroy(self._handle)
        self._handle = None
        for function in self._kept:
            _kept_log_functions.remove(function)
        self._kept = []

    def __reduce__(self) -> Any:
        raise TypeError("a Runtime cannot be copied or pickled: it is of this process; make one "
                        "where it is needed")

    def __enter__(self) -> "Runtime":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # ---- Kernels ----

    def get_kernel(self, name: str, constants: Optional[Mapping[str, Any]] = None,
                   sizes: Optional[Mapping[str, int]] = None, device: Optional[int] = None,
                   debug: str = "none", **more: Any) -> Kernel:
        """The loaded kernel of a template, built at most once per machine.

        name: of the template.
        constants: every shape constant without a default, as a dict or as keywords; tunables may
            be given to pin them. Values: bool, int, str, or a dtype of torch or NumPy.
        sizes: run-time sizes that steer tunables, such as {"num_tokens": n}; never keyed.
        device: ordinal; default: the current context's.
        debug: "none", "lineinfo" or "full".

        Raises UnknownTemplateError, InvalidArgumentError (a constant that is unknown, out of its
        domain, missing, or declared run-time), CompileError with the log, and other Errors.
        """
        request = Request(name, merged(constants, more), sizes, device, debug)
        handle = ctypes.c_void_p()
        check(C.cubinet_get_kernel(self._alive(), byref(request.struct), byref(handle)))
        return Kernel(self, handle.value or 0)

    def try_get_kernel(self, name: str, constants: Optional[Mapping[str, Any]] = None,
                       sizes: Optional[Mapping[str, int]] = None, device: Optional[int] = None,
                       debug: str = "none", **more: Any) -> Optional[Kernel]:
        """As get_kernel, but returns at once: None unless the kernel is in memory; then it is
        started in the background, ready in the calling context. Later calls find it, or raise why
        it failed: each of them, without trying again for a minute."""
        request = Request(name, merged(constants, more), sizes, device, debug)
        handle = ctypes.c_void_p()
        check(C.cubinet_try_get_kernel(self._alive(), byref(request.struct), byref(handle)))
        return Kernel(self, handle.value) if handle.value else None

    def prefetch(self, name: str, constants: Optional[Mapping[str, Any]] = None,
                 sizes: Optional[Mapping[str, int]] = None, device: Optional[int] = None,
                 debug: str = "none", **more: Any) -> None:
        """Starts getting the kernel in the background; a bad request is refused at once."""
        request = Request(name, merged(constants, more), sizes, device, debug)
        check(C.cubinet_prefetch(self._alive(), byref(request.struct)))

    def prefetch_all(self, kernels: Sequence[KernelSpec]) -> Prefetch:
        """Starts getting all of them in the background, ready in the calling context; a bad request
        is refused at once. One that fails is logged and in the report, and loses no other."""
        requests = Requests(kernels)
        handle = ctypes.c_void_p()
        check(C.cubinet_prefetch_all(self._alive(), requests.pointers, len(kernels),
                                     byref(handle)))
        return Prefetch(handle.value or 0)

    def warm_up(self, kernels: Union[Path, Sequence[KernelSpec]],
                progress: Optional[Progress] = None) -> WarmUpReport:
        """Makes all of them ready in the calling context, and returns when they are. Processes that
        warm up together share the compiles, each kernel once.

        kernels: KernelSpecs, or the path of a recording (CUBINET_RECORD).
        progress: called with (done, total, signature, outcome) on this thread; an outcome is
            "in_memory", "found", "compiled", "made_elsewhere" or "failed". What it raises ends
            the warm-up.
        """
        told = Told(progress)
        handle = ctypes.c_void_p()
        if isinstance(kernels, (str, bytes, os.PathLike)):
            status = C.cubinet_warm_up_recording(self._alive(), os.fsencode(kernels),
                                                 told.function, None, byref(handle))
        else:
            requests = Requests(kernels)
            status = C.cubinet_warm_up_list(self._alive(), requests.pointers, len(kernels),
                                            told.function, None, byref(handle))
        check(status)
        if told.error is not None:
            raise told.error
        try:
            return read_report(handle.value or 0)
        finally:
            C.cubinet_warm_up_free(handle)

    def precompile(self, name: str, constants: Optional[Mapping[str, Any]] = None,
                   sizes: Optional[Mapping[str, int]] = None, *, arch: str, debug: str = "none",
                   **more: Any) -> PrecompileReport:
        """Puts the kernel for `arch` ("sm_90a") into the cache; needs neither driver nor GPU."""
        request = Request(name, merged(constants, more), sizes, None, debug)
        raw = _library.PrecompileReport()
        check(C.cubinet_precompile(self._alive(), byref(request.struct), arch.encode(),
                                   byref(raw)))
        return PrecompileReport(raw.name.decode(), raw.signature.decode(), raw.arch.decode(),
                                raw.key.decode(), raw.hit != 0, raw.compile_ms, raw.registers,
                                raw.smem_bytes, raw.spill_bytes, raw.cubin_bytes,
                                raw.toolchain.decode())

    def add_templates(self, directory: Path) -> None:
        """Adds the templates below a directory (one folder each, with a manifest.json)."""
        check(C.cubinet_add_templates(self._alive(), os.fsencode(directory)))

    def stats(self) -> Stats:
        """What this Runtime did so far."""
        raw = _library.Stats()
        check(C.cubinet_runtime_stats(self._alive(), byref(raw)))
        return Stats(*(getattr(raw, field) for field in Stats.__dataclass_fields__))

    def current_device(self) -> Optional[int]:
        """The ordinal of this thread's current device; None where no context is current."""
        device = ctypes.c_int32()
        check(C.cubinet_current_device(self._alive(), byref(device)))
        return device.value if device.value >= 0 else None


_OPTIONS: Dict[str, Callable[..., None]] = {
    "cache_dir": Runtime._set_path, "memory_only": Runtime._set_flag, "mode": Runtime._set_choice,
    "toolchain": Runtime._set_choice, "packs": Runtime._set_paths,
    "pack_toolchain": Runtime._set_pack_toolchain, "trust_group": Runtime._set_flag,
    "template_path": Runtime._set_paths, "nvrtc": Runtime._set_path, "driver": Runtime._set_path,
    "cuda_home": Runtime._set_path, "reproduction_dir": Runtime._set_path,
    "record_file": Runtime._set_path,
    "max_cache_bytes": Runtime._set_cap, "min_free_bytes": Runtime._set_floor,
    "lock_timeout_ms": Runtime._set_timeout, "log": Runtime._set_log,
    "log_level": Runtime._set_choice, "churn": Runtime._set_choice,
    "churn_limit": Runtime._set_limit, "trace_file": Runtime._set_path,
    "tuning": Runtime._set_choice, "tuning_files": Runtime._set_paths,
    "tuning_budget_ms": Runtime._set_budget,
}

_shared: Optional[Runtime] = None


def shared_runtime() -> Runtime:
    """The process-wide Runtime, made from CUBINET_* variables at its first use."""
    global _shared
    if _shared is None:
        handle = ctypes.c_void_p()
        check(C.cubinet_runtime_shared(byref(handle)))
        made = Runtime.__new__(Runtime)
        made._handle, made._kept = handle.value, []
        _shared = made
    return _shared


def get_kernel(name: str, constants: Optional[Mapping[str, Any]] = None,
               sizes: Optional[Mapping[str, int]] = None, device: Optional[int] = None,
               debug: str = "none", **more: Any) -> Kernel:
    """Runtime.get_kernel of the process-wide Runtime."""
    return shared_runtime().get_kernel(name, constants, sizes, device, debug, **more)


def try_get_kernel(name: str, constants: Optional[Mapping[str, Any]] = None,
                   sizes: Optional[Mapping[str, int]] = None, device: Optional[int] = None,
                   debug: str = "none", **more: Any) -> Optional[Kernel]:
    """Runtime.try_get_kernel of the process-wide Runtime."""
    return shared_runtime().try_get_kernel(name, constants, sizes, device, debug, **more)


def prefetch(name: str, constants: Optional[Mapping[str, Any]] = None,
             sizes: Optional[Mapping[str, int]] = None, device: Optional[int] = None,
             debug: str = "none", **more: Any) -> None:
    """Runtime.prefetch of the process-wide Runtime."""
    shared_runtime().prefetch(name, constants, sizes, device, debug, **more)


def prefetch_all(kernels: Sequence[KernelSpec]) -> Prefetch:
    """Runtime.prefetch_all of the process-wide Runtime."""
    return shared_runtime().prefetch_all(kernels)


def warm_up(kernels: Union[Path, Sequence[KernelSpec]],
            progress: Optional[Progress] = None) -> WarmUpReport:
    """Runtime.warm_up of the process-wide Runtime."""
    return shared_runtime().warm_up(kernels, progress)


def precompile(name: str, constants: Optional[Mapping[str, Any]] = None,
               sizes: Optional[Mapping[str, int]] = None, *, arch: str, debug: str = "none",
               **more: Any) -> PrecompileReport:
    """Runtime.precompile of the process-wide Runtime."""
    return shared_runtime().precompile(name, constants, sizes, arch=arch, debug=debug, **more)


def add_templates(directory: Path) -> None:
    """Runtime.add_templates of the process-wide Runtime."""
    shared_runtime().add_templates(directory)


def stats() -> Stats:
    """Runtime.stats of the process-wide Runtime."""
    return shared_runtime().stats()
