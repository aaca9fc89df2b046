"""A simulated day watched while it happens.

The simulation asks `is_due()`, and only then makes a `Scene` and hands it over, so that watching
costs no more than eight pictures a second. On a terminal the view takes the whole screen and gives
it back when its `with` block ends, by whatever way; anywhere else it prints a plain line every few
seconds. The real clock is an argument. Nothing here sleeps, or looks at the simulation itself.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from simulations.scene import NOWHERE, Scene, Spot, line, picture
from simulations.wording import in_ascii

PICTURE_S_MIN: Final = 0.125
LINE_S_MIN: Final = 5.0


class LiveView:
    """Shows scenes while its `with` block lasts."""

    def __init__(self, console: Console, real_time_s: Callable[[], float] = time.monotonic) -> None:
        """Prepare a view; `real_time_s` is the clock that bounds how often it is drawn."""
        self._console = console
        self._real_time_s = real_time_s
        self._due_s = real_time_s()
        self._extent = NOWHERE
        has_screen = console.is_terminal and not console.is_dumb_terminal
        has_screen = has_screen and not console.options.ascii_only
        self._live = Live(console=console, screen=True, auto_refresh=False) if has_screen else None

    def __enter__(self) -> Self:
        """Take the screen."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the screen back as it was."""
        if self._live:
            self._live.stop()

    def is_due(self) -> bool:
        """Return whether a scene would be shown now rather than dropped."""
        return self._real_time_s() >= self._due_s

    def update(self, scene: Scene) -> None:
        """Show the scene, unless the last one was shown too short a time ago."""
        if not self.is_due():
            return
        if self._live:
            self._draw(self._live, scene)
        else:
            said = in_ascii(line(scene)) if self._console.options.ascii_only else line(scene)
            self._console.print(said, soft_wrap=True, highlight=False, markup=False)
        self._due_s = self._real_time_s() + (PICTURE_S_MIN if self._live else LINE_S_MIN)

    def _draw(self, live: Live, scene: Scene) -> None:
        restaurants = [Spot(it.x_m, it.y_m) for it in scene.setting.restaurants]
        self._extent = self._extent.around([*restaurants, *scene.couriers, *scene.waiting])
        size = self._console.size
        drawn = picture(scene, self._extent, size.width, size.height)
        live.update(drawn, refresh=True)
