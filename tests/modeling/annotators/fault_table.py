"""What becomes of every bad reply: `.venv/bin/python -m tests.modeling.annotators.fault_table` prints it as Markdown.

One run reads a post for each fault of the stand-in, beside good ones; a fault that stops a run has a run of its own.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

import django
from django.apps import apps

if not apps.ready:  # as a program; pytest has done it
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")
    django.setup()

from modeling.models import AnnotatorRun, ModelCall, ModelReading
from modeling.standin.script import Fault, Rule, Script
from modeling.standin.server import StandIn
from tests.modeling.annotators.ground import ask_standin, make_run, read_all

STOPS = (Fault.KEY_REVOKED, Fault.MODEL_GONE, Fault.QUOTA)
DEADLINE_SECONDS = 0.15


@dataclass(frozen=True)
class Row:
    """One line of the table: the fault, what the post's reading says, what was sent and what of it was paid."""

    fault: str
    outcome: str
    reason: str
    n_sent: int
    n_repairs: int
    n_paid: int
    n_accepted: int


def build_table() -> list[Row]:
    """Read one post per fault through a stand-in, with a short deadline per call."""
    limited = Rule(
        Fault.RATE_LIMITED, retry_after=0.02
    )  # by a rule: a marked post would ask for whole seconds
    faults = [fault for fault in Fault if fault not in (*STOPS, limited.fault)]
    with ask_standin(deadline_seconds=DEADLINE_SECONDS) as standin:
        texts = [write_post(fault) for fault in faults]
        good = [f"A walk by the river, {n}." for n in range(8)]
        run = read_all(make_run([*texts, *good], concurrency=16))
        rows = [_describe(standin, run, fault, text) for fault, text in zip(faults, texts, strict=True)]
        rows += [_stop(standin, fault) for fault in STOPS]
    with ask_standin(Script((limited,))) as standin:
        run = read_all(make_run(["A post that is never let through."]))
        rows.insert(0, _describe(standin, run, limited.fault, "A post that is never let through."))
    return rows


def _stop(standin: StandIn, fault: Fault) -> Row:
    text = write_post(fault)
    run = read_all(make_run([text, *[f"{text} Again, {n}." for n in range(20)]], concurrency=4))
    asked = [entry for entry in standin.requests.read() if entry.fault == fault.value]
    return Row(
        fault=fault.value,
        outcome=f"run {run.state}",
        reason=run.problem,
        n_sent=len(asked),
        n_repairs=0,
        n_paid=sum(entry.is_paid for entry in asked),
        n_accepted=ModelReading.objects.filter(run=run, fault="").count(),
    )


def write_post(fault: Fault) -> str:
    return f"Freedom and care, as {fault.value} has it. [[fault:{fault.value}]]"


def _describe(standin: StandIn, run: AnnotatorRun, fault: Fault, text: str) -> Row:
    reading = ModelReading.objects.select_related("call").get(run=run, post__text=text)
    call = reading.call
    first = ModelCall.objects.filter(pk=call.repairs_id).first()
    digest = hashlib.sha256(text.encode()).hexdigest()
    sent = [entry for entry in standin.requests.read() if entry.text_sha256 == digest]
    return Row(
        fault=fault.value,
        outcome=reading.fault or "accepted",
        reason=reading.reason,
        n_sent=call.attempts + (first.attempts if first else 0),
        n_repairs=int(first is not None),
        n_paid=sum(entry.is_paid for entry in sent),
        n_accepted=int(reading.ratings is not None),
    )


def write_markdown(rows: Iterable[Row]) -> str:
    lines = [
        "| reply | outcome | calls sent | of them repairs | paid | accepted |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.fault} | {row.outcome} | {row.n_sent} | {row.n_repairs} | {row.n_paid} | {row.n_accepted} |"
            for row in rows
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    from django.conf import settings
    from django.test.utils import setup_databases, teardown_databases

    os.environ.setdefault("LLM_STANDIN_API_KEY", "key-of-the-stand-in")
    settings.ANNOTATOR_BACKOFF_SECONDS = 0.01
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        print(write_markdown(build_table()))
    finally:
        teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    main()
