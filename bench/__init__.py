"""How fast the heavy computations are, against a plain way to the same numbers: `python -m bench [NAME]`.

A bench is a function in a module of this package, marked `@bench("name")`. It checks that both ways give
the same numbers before it times either, or afterwards that both have done what was timed.
"""

import importlib
import json
import pkgutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

RUNS = 3


class CannotRun(Exception):
    """A bench lacks something on this machine; the text says what and how to mend it."""


@dataclass(frozen=True)
class Timing:
    """What a bench found.

    Attributes
    ----------
    ratio : float
        How many times faster ours is: the reference's median over ours.
    reference : str
        What ours was compared with.
    medians : dict of str to float
        Median CPU time of `ours` and `reference`, and of whatever else was timed, in `unit`.
    unit : str
        "s", "ms", "us" or, for files, "MB".
    more : dict of str to object
        What this bench alone reports; it joins the printed line.
    """

    ratio: float
    reference: str
    medians: dict[str, float]
    unit: str = "s"
    more: dict[str, object] = field(default_factory=dict)


BENCHES: dict[str, Callable[[], Timing]] = {}
ON_REQUEST: set[str] = set()


def bench(name: str, *, on_request: bool = False) -> Callable[[Callable[[], Timing]], Callable[[], Timing]]:
    """Register a function under a name that no other bench has; one `on_request` runs only when it is named."""

    def register(function: Callable[[], Timing]) -> Callable[[], Timing]:
        if name in BENCHES:
            raise ValueError(f"Two benches are named {name!r}; give one of them another name.")
        BENCHES[name] = function
        if on_request:
            ON_REQUEST.add(name)
        return function

    return register


def median_cpu_seconds(function: Callable[[], object]) -> float:
    """Return the median CPU time (all threads) of RUNS calls, after one that does not count."""
    function()
    seconds = []
    for _ in range(RUNS):
        begun = time.process_time()
        function()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds)


def best_seconds(function: Callable[[], object]) -> float:
    """Return the shortest time by the clock of RUNS calls."""
    seconds = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def main(names: list[str]) -> int:
    """Run the named benches, or all of them, printing one JSON object a line.

    Returns the exit code: 0, 1 when a bench could not run here (the others ran), or 2 for an unknown name.
    """
    for module in pkgutil.iter_modules(__path__):
        if module.name != "__main__":
            importlib.import_module(f"{__name__}.{module.name}")
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"No bench is named {', '.join(unknown)}. There are: {', '.join(sorted(BENCHES))}.")
        return 2
    code = 0
    for name in names or sorted(BENCHES.keys() - ON_REQUEST):
        try:
            timing = BENCHES[name]()
        except CannotRun as reason:
            print(f"{name} did not run: {reason}", file=sys.stderr)
            code = 1
            continue
        line = {
            "name": name,
            "ratio": round(timing.ratio, 2),
            "reference": timing.reference,
            "medians": {key: round(spent, 6) for key, spent in timing.medians.items()},
            "unit": timing.unit,
            "runs": RUNS,
        }
        print(json.dumps(line | timing.more), flush=True)
    return code
