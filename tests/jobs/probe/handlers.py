"""Jobs that misbehave on request. Each effect is one new Heartbeat row, so effects can be counted."""

import os
import signal
import time
import uuid

from jobs.models import Heartbeat
from jobs.parts import Part, Parts
from jobs.registry import handles


@handles("probe.slow")
def slow(claim):
    """Take payload["seconds"], reporting ten times a second."""
    steps = int(claim.payload["seconds"] * 10)
    for step in range(steps):
        time.sleep(0.1)
        claim.report(step + 1, steps, "sleeping")
    return lambda: note_effect(claim)


@handles("probe.whole")
def whole(claim):
    """Ask for payload["parts"] parts that take payload["seconds"] each."""
    if claim.parts is None:
        payload = {"seconds": claim.payload["seconds"]}
        numbers = range(claim.payload["parts"])
        return Parts([Part("probe.slow", f"{claim.job_id} part {n}", payload) for n in numbers])
    return lambda: note_effect(claim)


@handles("probe.pausing")
def pausing(claim):
    """Stop the whole process at the first try, as a suspended machine would."""
    if claim.attempt == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return lambda: note_effect(claim)


@handles("probe.poison")
def poison(claim):
    """Take the whole worker process down."""
    os.kill(os.getpid(), signal.SIGKILL)


def note_effect(claim):
    Heartbeat.objects.create(name=f"effect of {claim.job_id} {uuid.uuid4()}")
    return {"attempt": claim.attempt}
