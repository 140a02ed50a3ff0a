"""Steps of fits and scores at which a fault befalls a worker on request.

A file of the folder `faults` is an order, such as "kill assembly". A kill or a stop befalls one process, once; an error
is raised for as long as the order lies there. A process at work has a file of its own in the folder `at-work`.
"""

import contextlib
import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

import modeling.handlers  # noqa: F401 - they are there before some of them are taken away
from jobs import registry
from modeling import fits, services
from modeling.reporting.requests import AGREEMENT, CARD, DOCUMENT, EVALUATE
from modeling.scoring import making

FAULTS, AT_WORK = Path(settings.VAR_DIR) / "faults", Path(settings.VAR_DIR) / "at-work"
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def befall(step: str) -> None:
    for word, number in SIGNALS.items():
        with contextlib.suppress(FileNotFoundError):
            (FAULTS / f"{word} {step}").unlink()
            os.kill(os.getpid(), number)
    if (FAULTS / f"raise {step}").exists():
        raise RuntimeError(f"a fault in {step}")


def disturb(module: Any, name: str, name_step: Callable[..., str]) -> None:
    """Let faults befall a function before it does anything, and when all is done but it has not returned."""
    honest = getattr(module, name)

    @functools.wraps(honest)
    def disturbed(*args: Any, **options: Any) -> Any:
        step = name_step(*args)
        mark = AT_WORK / str(os.getpid())
        mark.touch()
        try:
            befall(step)
            done = honest(*args, **options)
            befall(f"{step}, done")
            return done
        finally:
            mark.unlink(missing_ok=True)

    setattr(module, name, disturbed)


for folder in (FAULTS, AT_WORK):
    folder.mkdir(parents=True, exist_ok=True)
disturb(fits, "do_unit", lambda prepared, settings, unit: unit.name)
disturb(fits, "assemble", lambda *_: "assembly")
disturb(services, "store_fit", lambda *_: "storing")
disturb(making, "score_piece", lambda fit_run, place, piece, report: f"scores {piece['value']}")
disturb(making, "store", lambda *_: "storing scores")
for kind in (AGREEMENT, EVALUATE, CARD, DOCUMENT):  # they take seconds, and are not what is tested
    registry._handlers[kind] = lambda claim: None
