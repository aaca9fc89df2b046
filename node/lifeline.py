"""How a process that computes for a node ends with it, whatever it is in the middle of.

Such a process reads from a pipe, and the end of what it reads is its end. But whoever compiles,
searches or audits reads on when that is done, which can take minutes that nobody wants any more.
"""

import os
import select
import threading


def end_with(pipe: int) -> None:
    """Have this process end as soon as nobody holds the other end of a pipe any more."""
    held = select.poll()
    held.register(pipe, 0)  # That it was hung up is told without being asked for.

    def watch() -> None:
        held.poll()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
