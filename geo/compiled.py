"""How a kernel is compiled: at once, on import, for the argument types of given samples.

numba would else compile at the first call, for seconds and holding the interpreter, with couriers
waiting. Compiled code is kept beside the source and loaded from there the next time. It is found
stale when its own file changes but not when another does: a kernel calls only kernels of its file.
"""

from collections.abc import Callable

import numba


def compiled_for[**P, R](*samples: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for arguments of the samples' types; it does not hold the interpreter."""
    types = tuple(numba.typeof(sample) for sample in samples)  # pyright: ignore[reportUnknownMemberType]

    def compiled(function: Callable[P, R]) -> Callable[P, R]:
        try:
            return numba.njit(types, cache=True, nogil=True)(function)
        except AttributeError:
            _forget(function)
            return numba.njit(types, cache=True, nogil=True)(function)

    return compiled


def _forget[**P, R](function: Callable[P, R]) -> None:
    """Empty the cache of a function.

    numba reads all of it before it looks whether it is stale, and fails where it names a class of
    arguments that an older version of the source had and this one has not.
    """
    dispatcher: object = numba.njit(cache=True)(function)
    dispatcher._cache.flush()  # noqa: SLF001 # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
