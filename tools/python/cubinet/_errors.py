"""Errors: one class per status of the C interface."""

from __future__ import annotations

from typing import Dict, Type

from ._library import C


class Error(RuntimeError):
    """What Cubinet raises. The message is one line: what was tried, why it failed, what to do.

    code:         the kind of error by name, such as "compile_failed"
    log:          the whole compiler log; empty unless the compiler refused
    reproduction: path of a .cu file that reproduces the failure with plain nvcc; may be empty
    """

    code = "internal"

    def __init__(self, message: str, log: str = "", reproduction: str = ""):
        super().__init__(message)
        self.log = log
        self.reproduction = reproduction


class InvalidArgumentError(Error, ValueError):
    """A constant, size, option or launch argument that cannot be right."""

    code = "invalid_argument"


class UnknownTemplateError(Error, LookupError):
    """No template of that name."""

    code = "unknown_template"


class InvalidTemplateError(Error, ValueError):
    """A manifest or an include that is refused; the message has file and JSON pointer."""

    code = "invalid_template"


class UnsupportedArchError(Error):
    """Template, compiler and architecture do not go together."""

    code = "unsupported_arch"


class NoCompilerError(Error):
    """NVRTC is needed and was not found; the message lists what was tried."""

    code = "no_compiler"


class CompileError(Error):
    """The compiler refused the kernel; log and reproduction are set."""

    code = "compile_failed"


class FrozenMissError(Error, LookupError):
    """CUBINET_MODE=frozen, and the kernel is not in the cache."""

    code = "frozen_miss"


class NoDriverError(Error):
    """The CUDA driver is needed and was not found, or no device answers."""

    code = "no_driver"


class DriverError(Error):
    """A driver call failed; the message names the call and the CUDA error."""

    code = "driver"


class ShuttingDownError(Error):
    """Process exit has begun."""

    code = "shutting_down"


class IoError(Error, OSError):
    """A file that the caller named could not be read or written."""

    code = "io"


class InternalError(Error):
    """A broken promise of the library, or no memory; please report it."""

    code = "internal"


class UnstableSignatureError(Error):
    """CUBINET_CHURN=error, and the process asks for ever new signatures of one template."""

    code = "unstable_signature"


_CLASSES: Dict[str, Type[Error]] = {
    error.code: error for error in (
        InvalidArgumentError, UnknownTemplateError, InvalidTemplateError, UnsupportedArchError,
        NoCompilerError, CompileError, FrozenMissError, NoDriverError, DriverError,
        ShuttingDownError, IoError, InternalError, UnstableSignatureError)
}


def last_error(status: int) -> Error:
    """The error of this thread's call that has just returned `status`."""
    kind = _CLASSES.get(C.cubinet_status_name(status).decode(), InternalError)
    return kind(C.cubinet_last_error().decode(errors="replace"),
                C.cubinet_last_error_log().decode(errors="replace"),
                C.cubinet_last_error_reproduction().decode(errors="replace"))


def check(status: int) -> None:
    """Raises the error of a call that did not return CUBINET_OK."""
    if status:
        raise last_error(status)
