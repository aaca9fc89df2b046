"""How the inner loops of a round are compiled.

Results are kept on disk, and other threads run while compiled code does. The cache looks only at
the file of the function that is called: one that calls another must stand in the same file with it,
or a change to the other would go unnoticed.
"""

from collections.abc import Callable

import numba


def compiled[F: Callable[..., object]](function: F) -> F:
    """Compile `function` when it is first called."""
    return numba.njit(cache=True, nogil=True)(function)  # pyright: ignore[reportReturnType]


def inlined[F: Callable[..., object]](function: F) -> F:
    """Compile `function` into its callers: passing a problem on costs more than a short walk."""
    whole = numba.njit(cache=True, nogil=True, forceinline=True)
    return whole(function)  # pyright: ignore[reportReturnType]
