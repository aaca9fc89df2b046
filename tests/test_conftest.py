"""What the suite holds every test to, tried on small suites with smaller limits."""

import re
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

CONFTEST = (Path(__file__).parent / "conftest.py").read_text()
BURN = """
    import time

    import pytest

    {mark}
    def test_that_computes():
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
"""
BURN_ELSEWHERE = """
    import subprocess, sys

    def test_that_lets_another_compute():
        subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
"""
REST = """
    import time

    def test_that_rests():
        time.sleep(0.1)
"""
COMPILE = """
    import numba

    def test_that_compiles():
        assert numba.njit(lambda x: x + 1)(1) == 2
"""


def outcomes(pytester: pytest.Pytester, suite: str, cpu_s: float, wall_s: float) -> dict[str, int]:
    """Run a suite under the house's conftest with other limits."""
    limits = f"CPU_S_MAX = {cpu_s}\nWALL_S_MAX = {wall_s}\n"
    pytester.makeini("[pytest]\nmarkers = slow: over the limits")
    pytester.makeconftest(
        re.sub(r"CPU_S_MAX = .*?WALL_S_MAX = 10.0\n", limits, CONFTEST, flags=re.DOTALL)
    )
    pytester.makepyfile(suite)
    return pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").parseoutcomes()


def test_a_test_that_computes_for_too_long_fails(pytester: pytest.Pytester) -> None:
    ended = outcomes(pytester, BURN.format(mark=""), cpu_s=0.05, wall_s=10)

    assert ended == {"failed": 1}


def test_a_test_marked_slow_may_compute_for_long(pytester: pytest.Pytester) -> None:
    suite = BURN.format(mark="@pytest.mark.slow")

    ended = outcomes(pytester, suite, cpu_s=0.05, wall_s=10)

    assert ended == {"passed": 1}


def test_what_a_test_lets_another_process_compute_counts_too(pytester: pytest.Pytester) -> None:
    ended = outcomes(pytester, BURN_ELSEWHERE, cpu_s=0.02, wall_s=10)

    assert ended == {"failed": 1}


def test_a_test_that_rests_for_too_long_fails(pytester: pytest.Pytester) -> None:
    ended = outcomes(pytester, REST, cpu_s=10, wall_s=0.05)

    assert ended == {"failed": 1}


def test_the_time_that_a_kernel_takes_to_compile_does_not_count(pytester: pytest.Pytester) -> None:
    ended = outcomes(pytester, COMPILE, cpu_s=0.2, wall_s=10)

    assert ended == {"passed": 1}
