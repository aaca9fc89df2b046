"""What a crowd of robots saw: how often things happened, how long they took, what went wrong.

Everything is counted by a name, and there are only so many names, whatever a server answers.
"""

from collections import Counter, defaultdict

from simulations.load.histogram import Histogram

NAMES_MAX = 200
OTHERS = "other"


class Tally:
    """Counts for all robots of a run together."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        """What the server declined for a reason that people meet: an offer that was gone."""
        self.took_ms: defaultdict[str, Histogram] = defaultdict(Histogram)

    def begin(self) -> None:
        """Measure from now on: what happened while people gathered is told apart."""
        for what, times in self.errors.items():
            self.count(f"while gathering: {what}", times)
        self.errors.clear()
        self.took_ms.clear()

    def count(self, what: str, times: int = 1) -> None:
        """Count something that happened as it should."""
        self.counts[_known(self.counts, what)] += times

    def fail(self, what: str) -> None:
        """Count an error."""
        self.errors[_known(self.errors, what)] += 1

    def refuse(self, what: str) -> None:
        """Count a refusal."""
        self.refusals[_known(self.refusals, what)] += 1

    def time(self, what: str, took_ms: float) -> None:
        """Count how long something took."""
        self.took_ms[what].record(took_ms)


def _known(names: Counter[str], name: str) -> str:
    return name if name in names or len(names) < NAMES_MAX else OTHERS
