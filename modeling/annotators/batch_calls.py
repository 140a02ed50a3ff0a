"""The book of calls where many go to a provider as one batch."""

import hashlib
from collections.abc import Sequence
from decimal import Decimal

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from modeling.models import AnnotatorRun, ModelCall, ProviderBatch
from modeling.providers.chat import Answer
from modeling.providers.faults import CallFault, FaultKind

from .asking import Asker, Question
from .calls import Allowed, Book, CallState, Ticket
from .limits import MOST_LIMITED_SENDS

CLAIM_SECONDS = 26 * 3600.0  # providers promise an answer within a day
MOST_FAILURES = 2  # of a call in batches, before that is its end


class BatchBook(Book):
    """The book as the worker keeps it that has to do with a run's batches."""

    def __init__(self, run: AnnotatorRun, asker: Asker) -> None:
        super().__init__(run, asker, claim_seconds=CLAIM_SECONDS, most_failures=MOST_FAILURES)

    def take_batch(self, questions: Sequence[Question]) -> tuple[ProviderBatch | None, list[Question]]:
        """Claim as many questions as the budget holds as one batch, not ordered yet; None when that is none.

        Returns the batch and its questions in the order of its lines. The most it can cost is set aside.
        """
        with transaction.atomic():
            run = AnnotatorRun.objects.select_for_update(no_key=True).get(pk=self.run.pk)
            left = None if run.budget is None else run.budget - run.spent - run.reserved
            places: list[tuple[Question, Ticket | None, Decimal, float]] = []
            for question in questions:
                price = self.asker.get_highest_price(question)
                if run.state != AnnotatorRun.State.RUNNING or (left is not None and price > left):
                    break
                left = None if left is None else left - price
                places.append((question, None, price, 0.0))
            if not places:
                return None, []
            last = run.batches.aggregate(last=Max("number"))["last"] or 0
            batch = ProviderBatch.objects.create(
                run=run, number=last + 1, provider=self.asker.provider.name, n_calls=0
            )
            allowed = Allowed()
            self._take(places, allowed, run, batch)
            tickets = sorted(allowed.tickets, key=lambda ticket: ticket.question.digest)
            reserved = sum((ticket.reserved for ticket in tickets), Decimal(0))
            hashes = "\n".join(ticket.question.digest for ticket in tickets)
            batch.n_calls = len(tickets)
            batch.input_sha256 = hashlib.sha256(hashes.encode()).hexdigest()
            batch.counts = {
                "reserved": str(reserved),
                "prompt_tokens": sum(ticket.question.prompt_tokens for ticket in tickets),
                "looked_at": timezone.now().isoformat(),
            }
            batch.save()
            run.reserved += reserved
            run.save(update_fields=["reserved"])
        return batch, [ticket.question for ticket in tickets]

    @transaction.atomic
    def store_lines(self, batch: ProviderBatch, results: Sequence[tuple[str, Answer | CallFault]]) -> None:
        """Write down lines of a batch's results. A line that is there already changes nothing, and costs nothing."""
        run = AnnotatorRun.objects.select_for_update(no_key=True).get(pk=self.run.pk)
        usual = round(batch.counts["prompt_tokens"] / batch.n_calls)
        for digest, result in results:
            price = self._price(usual, result)
            fields = self._describe(MOST_LIMITED_SENDS, result, price) | {"latency_seconds": None}
            rows = ModelCall.objects.filter(request_hash=digest, batch=batch, state=CallState.CLAIMED)
            if rows.update(**fields):
                run.spent += price
                run.is_standin |= result.is_standin
        run.save(update_fields=["spent", "is_standin"])

    @transaction.atomic
    def close_batch(self, batch: ProviderBatch, problem: str, *, is_refused: bool) -> None:
        """Write down that nothing more will come of a batch, and set free what was set aside for it.

        The calls of a batch that was refused as a whole are as if never sent; others that it did not answer failed.
        """
        run = AnnotatorRun.objects.select_for_update(no_key=True).get(pk=self.run.pk)
        now = timezone.now()
        closed = ProviderBatch.objects.filter(pk=batch.pk, finished_at=None)
        if not closed.update(
            finished_at=now, remote_state=batch.remote_state, counts=batch.counts, problem=problem
        ):
            return
        left = ModelCall.objects.filter(batch=batch, state=CallState.CLAIMED)
        if is_refused:
            left.update(claimed_until=now, attempts=0)
        else:
            left.update(
                state=CallState.FAILED,
                fault=FaultKind.TIMEOUT.value,
                reason=f"The batch ended as '{batch.remote_state}' without an answer to this call.",
                claimed_by=None,
                claimed_until=None,
                answered_at=now,
            )
        run.reserved -= Decimal(batch.counts["reserved"])
        run.save(update_fields=["reserved"])
