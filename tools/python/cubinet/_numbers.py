"""What callers give as integers and texts, before ctypes would cut it to size without a word."""

from __future__ import annotations

import operator
from typing import Any

from ._errors import InvalidArgumentError


def integer(name: str, value: Any, first: int, last: int) -> int:
    """An int, or what stands for one as NumPy's do, from first to last.

    Raises TypeError for anything else, a bool and a tensor (which would have to be waited for)
    among it; InvalidArgumentError beyond the bounds.
    """
    if isinstance(value, bool) or hasattr(value, "__dlpack__"):
        raise TypeError(f"expected {name} to be an int, got {type(value).__name__}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"expected {name} to be an int, got {type(value).__name__}") from None
    if not first <= number <= last:
        raise InvalidArgumentError(f"read arguments: {name} is {number}; expected {first} to "
                                   f"{last}")
    return number


def encoded(name: str, value: Any) -> bytes:
    """The bytes of a text. Raises TypeError for anything else, InvalidArgumentError for a NUL,
    where the library would stop reading."""
    if not isinstance(value, str):
        raise TypeError(f"expected {name} to be a str, got {type(value).__name__}")
    if "\0" in value:
        raise InvalidArgumentError(f"read arguments: {name} is {value!r}; leave out the NUL")
    return value.encode()
