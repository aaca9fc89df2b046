"""How the inner loops of a round are compiled.

Results are kept on disk, and other threads run while compiled code does. The cache looks only at
the file of the function that is called: one that calls another must stand in the same file with it,
or a change to the other would go unnoticed. So would a change of this file, or of a constant that
comes from elsewhere: after one, delete the `*.nbi` and `*.nbc` files.
"""

from collections.abc import Callable

import numba


def compiled[F: Callable[..., object]](function: F) -> F:
    """Compile `function` when it is first called."""
    return numba.njit(cache=True, nogil=True)(function)  # pyright: ignore[reportReturnType]


def lean[F: Callable[..., object]](function: F) -> F:
    """Compile `function`, which makes no arrays, so that it counts no references to those it has.

    Each field of a problem that is looked at, each row of an array, would be counted in and out.
    """
    whole = numba.njit(cache=True, nogil=True, _nrt=False)  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
    return whole(function)  # pyright: ignore[reportUnknownVariableType]


def woven[F: Callable[..., object]](function: F) -> F:
    """Compile a lean `function` into its callers: a call costs more than a short walk."""
    whole = numba.njit(cache=True, nogil=True, _nrt=False, forceinline=True)  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
    return whole(function)  # pyright: ignore[reportUnknownVariableType]


def inlined[F: Callable[..., object]](function: F) -> F:
    """Compile `function` into its callers, where it may make arrays."""
    return numba.njit(cache=True, nogil=True, forceinline=True)(function)  # pyright: ignore[reportReturnType]
