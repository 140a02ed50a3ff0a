"""A run by the provider's batches: cheaper, and slower.

A batch goes through three steps, each of which a crash may follow: its calls are claimed and the money set aside; its
file is uploaded; it is ordered. The file's name is stored before the order, and whoever comes after a crash looks
among the provider's batches for that file first. So no batch is ordered twice.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from django.utils import timezone

from jobs.registry import Later
from jobs.services import Claim
from modeling.models import AnnotatorRun, ModelCall, ProviderBatch
from modeling.providers.batches import BatchClient, BatchStatus, write_batch
from modeling.providers.caller import pick_limit_field
from modeling.providers.faults import CallFault, ProviderFault

from .asking import Asker, Question, Reading
from .batch_calls import BatchBook
from .calls import read_row
from .lanes import AWAY_SECONDS, get_provider
from .limits import limit
from .runs import State, stop_for_budget, stop_run
from .selecting import find_samples_read, iterate_unread

MOST_BYTES = 100_000_000  # of a file: it is built in memory
AT_ONCE = 500
WAITED_FOR = 60.0  # seconds until calls that another run has under way are looked for again


def work_batch(run: AnnotatorRun, claim: Claim) -> Later | dict[str, int]:
    """Take a run's batches one step further; return when to look again, or how many batches there were."""
    provider = get_provider(run)
    if provider is None:
        return {"n_batches": run.batches.count()}
    asker = Asker(run.annotator, provider, price_factor=run.annotator.batch_price_factor)
    book = BatchBook(run, asker)
    batch = run.batches.filter(finished_at=None).order_by("number").first()
    questions: list[Question] = []
    if batch is None:
        if run.state != State.RUNNING:
            return {"n_batches": run.batches.count()}
        planned = _plan(book, claim)
        if isinstance(planned, Later):
            return planned
        batch, questions = planned
        if batch is None:
            return {"n_batches": run.batches.count()}
    try:
        with BatchClient(provider) as client:
            return _go_on(book, claim, client, batch, questions)
    except ProviderFault as error:
        return _bear(run, batch, error.fault)


def _go_on(
    book: BatchBook, claim: Claim, client: BatchClient, batch: ProviderBatch, questions: Sequence[Question]
) -> Later | dict[str, int]:
    run = book.run
    if not batch.remote_id:
        if run.state != State.RUNNING and not batch.remote_file:  # cancelled before anything was ordered
            book.close_batch(batch, "Cancelled before it was ordered.", is_refused=True)
            return {"n_batches": batch.number}
        _order(book, claim, client, batch, questions)
    status = client.look(batch.remote_id)
    if run.state != State.RUNNING and not status.is_finished and status.state != "cancelling":
        status = client.cancel(batch.remote_id)
    _note(batch, status)
    if not status.is_finished:
        claim.report(status.n_done + status.n_failed, batch.n_calls, f"answered in batch {batch.number}")
        return Later(limit("ANNOTATOR_BATCH_POLL_SECONDS"), f"batch {batch.number} is {status.state}")
    faults = _store_results(book, client, batch, status)
    is_refused = status.state == "failed" and not status.result_files
    book.close_batch(batch, status.problem, is_refused=is_refused)
    _tidy_up(client, batch, status)
    if is_refused:
        stop_run(run, f"The provider refused batch {batch.number}. {status.problem}".strip())
    elif faults:
        stop_run(run, f"{faults[0].message} Once that is mended, resume the run.")
    run.refresh_from_db(fields=["state"])
    return Later(0, "reads the answers") if run.state == State.RUNNING else {"n_batches": batch.number}


def _order(
    book: BatchBook, claim: Claim, client: BatchClient, batch: ProviderBatch, questions: Sequence[Question]
) -> None:
    status = client.find(batch.remote_file) if batch.remote_file else None
    if status is None:
        lines = questions or _rebuild(book, batch)
        content = write_batch(
            ((each.digest, each.request) for each in lines), limit_field=pick_limit_field(book.asker.provider)
        )
        batch.remote_file = client.upload(content)
        batch.save(update_fields=["remote_file"])
        claim.extend()  # whoever has lost the job leaves the order to its new owner
        status = client.create(batch.remote_file)
    batch.remote_id = status.remote_id
    _note(batch, status)


def _note(batch: ProviderBatch, status: BatchStatus) -> None:
    batch.remote_state = status.state[:40]
    batch.counts |= {
        "total": status.n_total,
        "done": status.n_done,
        "failed": status.n_failed,
        "looked_at": timezone.now().isoformat(),
    }
    batch.save(update_fields=["remote_id", "remote_state", "counts"])


def _tidy_up(client: BatchClient, batch: ProviderBatch, status: BatchStatus) -> None:
    """Have the posts and the replies deleted at the provider, now that all is stored here; note what is left there."""
    if left := client.delete_files([batch.remote_file, *status.result_files]):
        batch.counts["files_left"] = left
        batch.save(update_fields=["counts"])


def _bear(run: AnnotatorRun, batch: ProviderBatch, fault: CallFault) -> Later | dict[str, int]:
    """Wait for a provider that is away; stop the run when it stays away, or when only a person can help."""
    silence = limit("ANNOTATOR_SILENCE_SECONDS")
    since = max(datetime.fromisoformat(batch.counts["looked_at"]), run.started_at)
    if fault.is_transient and (timezone.now() - since).total_seconds() <= silence:
        return Later(min(AWAY_SECONDS, limit("ANNOTATOR_BATCH_POLL_SECONDS")), "the provider does not answer")
    stop_run(run, f"{fault.message} Once that is mended, resume the run: batch {batch.number} is still open.")
    return {"n_batches": batch.number}


def _store_results(
    book: BatchBook, client: BatchClient, batch: ProviderBatch, status: BatchStatus
) -> list[CallFault]:
    """Store every line of the results; return the faults that no other call would escape."""
    faults: list[CallFault] = []
    results = client.read_results(status.result_files)
    while chunk := list(islice(results, AT_ONCE)):
        book.store_lines(batch, chunk)
        faults += [each for _, each in chunk if isinstance(each, CallFault) and each.stops_run]
    return faults


# --- what to ask ------------------------------------------------------------------------------------


def _plan(book: BatchBook, claim: Claim) -> Later | tuple[ProviderBatch | None, list[Question]]:
    """Read what is answered, and claim what is not as the next batch; None when nothing is left to ask."""
    most = round(limit("ANNOTATOR_BATCH_LINES"))
    lines: dict[str, Question] = {}
    n_bytes = n_taken = 0
    for found, row in _walk(book):
        if found.digest in lines:  # two posts of one text
            continue
        if row and book.is_taken(row):
            n_taken += 1
            continue
        n_bytes += len(json.dumps(found.request.to_body())) + 200
        if n_bytes > MOST_BYTES:
            break
        lines[found.digest] = found
        if len(lines) % AT_ONCE == 0:
            claim.report(len(lines), most, "calls prepared")
        if len(lines) >= most:
            break
    if not lines:
        return Later(WAITED_FOR, "waits for another run's calls") if n_taken else (None, [])
    batch, questions = book.take_batch(list(lines.values()))
    if batch is None:
        book.run.refresh_from_db()
        stop_for_budget(book.run)
    return batch, questions


def _rebuild(book: BatchBook, batch: ProviderBatch) -> list[Question]:
    """Return the questions of a batch that was claimed but, as far as this installation knows, never ordered."""
    hashes = set(batch.calls.values_list("request_hash", flat=True))
    found = {question.digest: question for question, _ in _walk(book) if question.digest in hashes}
    return [found[digest] for digest in sorted(found)]


def _walk(book: BatchBook) -> Iterator[tuple[Question, ModelCall | None]]:
    """Yield each question of a run that is not settled, with its row; store readings of those that are, on the way."""
    run, asker = book.run, book.asker
    posts = iterate_unread(run)
    samples = range(run.annotator.samples)
    while page := list(islice(posts, AT_ONCE)):
        done = find_samples_read(run, [post_id for post_id, _ in page]) if len(samples) > 1 else set()
        questions = [
            asker.ask(post_id, post, sample)
            for post_id, post in page
            for sample in samples
            if (post_id, sample) not in done
        ]
        readings: list[Reading] = []
        while questions:
            rows = book.look_up(questions)
            repairs: list[Question] = []
            for question in questions:
                row = rows.get(question.digest)
                if row is None or not book.is_settled(row):
                    yield question, row
                    continue
                found = read_row(asker, question, row)
                (repairs if isinstance(found, Question) else readings).append(found)
            questions = repairs
        book.store_readings(readings)
