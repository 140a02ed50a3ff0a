"""The book of calls: who may send what, what it may cost, and what came back. Every write of a lane is here.

A question is a row before it is sent, and its answer is in the row before anybody reads it. So whoever asks the same
again, after a crash or in another run, finds it and pays nothing. Locks are taken in one order: the run, then the
provider's pace, then calls.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from modeling.models import AnnotatorRun, ModelCall, ModelReading, ProviderBatch, ProviderPace
from modeling.providers import pacing
from modeling.providers.chat import Answer
from modeling.providers.faults import CallFault, FaultKind
from modeling.providers.pricing import estimate_text_tokens

from .asking import Asker, Question, Reading, fail, storable
from .limits import LONGEST_PAUSE_SECONDS, MOST_LIMITED_SENDS, MOST_SENDS, limit
from .runs import stop_run
from .selecting import get_post_field

CallState = ModelCall.State
# Faults after which nobody but the provider knows whether it charges: what they may cost stays reserved.
MAYBE_PAID = {FaultKind.TIMEOUT, FaultKind.CUT_OFF, FaultKind.TOO_LARGE, FaultKind.NO_CHOICE}
REFUSAL = "refusal"  # as the reason of the end: the reply is then the refusal's words
LONGEST_PLACE_SECONDS = 0.25  # that a call is given its place ahead


@dataclass
class Ticket:
    """A question that this lane alone may send, and the money set aside for it."""

    question: Question
    call_id: int
    sends: int
    reserved: Decimal
    wait_seconds: float = 0.0


@dataclass
class Allowed:
    """What may be sent now, and what stands in the way of more.

    `lost` were claimed by others meanwhile. `reason` is '', 'ended', 'pause', 'slots', 'pace' or 'budget', and
    `seconds` after how long to ask again.
    """

    tickets: list[Ticket] = field(default_factory=list)
    lost: list[Question] = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0
    n_under_way: int = 0


class Book:
    """The book as one worker keeps it for one run, under a token of its own."""

    def __init__(
        self,
        run: AnnotatorRun,
        asker: Asker,
        *,
        claim_seconds: float | None = None,
        most_failures: int = 1,
    ) -> None:
        """`most_failures` is how often a call may fail in a run before that is its end; a lane has tried it itself."""
        self.run, self.asker, self.most_failures = run, asker, most_failures
        self.token = uuid.uuid4()
        self.claim_seconds = claim_seconds or max(
            limit("ANNOTATOR_CLAIM_SECONDS"), 2 * asker.provider.deadline_seconds
        )

    def look_up(self, questions: Iterable[Question]) -> dict[str, ModelCall]:
        """Return the rows that there are for some questions, by hash."""
        hashes = {question.digest for question in questions}
        rows = ModelCall.objects.filter(study=self.run.annotator.study_id, request_hash__in=hashes)
        return {row.request_hash: row for row in rows}

    def is_settled(self, row: ModelCall) -> bool:
        """Whether nothing more is to be sent for a row: it is answered, or failed since this run was started last."""
        if row.state == CallState.FAILED:
            is_ours = row.run_id == self.run.pk and row.answered_at >= self.run.started_at
            return is_ours and row.attempts >= self.most_failures
        return row.state == CallState.ANSWERED

    def is_taken(self, row: ModelCall) -> bool:
        """Whether somebody else is about to send what a row asks."""
        return (
            row.state == CallState.CLAIMED
            and row.claimed_by != self.token
            and row.claimed_until > timezone.now()
        )

    # --- before a call ------------------------------------------------------------------------

    @transaction.atomic
    def allow(
        self, fresh: Sequence[Question], again: Sequence[Ticket], readings: Sequence[Reading]
    ) -> Allowed:
        """Take as many calls as slots, pace and budget let through, older ones first; store readings on the way."""
        run = AnnotatorRun.objects.select_for_update(no_key=True).get(pk=self.run.pk)
        self.store_readings(readings)
        if run.state != AnnotatorRun.State.RUNNING:
            return Allowed(reason="ended")
        if not fresh and not again:
            return Allowed()
        now = timezone.now()
        pace = self._hold_pace()
        if pace.paused_until and pace.paused_until > now:
            return Allowed(reason="pause", seconds=(pace.paused_until - now).total_seconds())
        n_under_way = ModelCall.objects.filter(
            run=run, state=CallState.CLAIMED, claimed_until__gt=now
        ).count()
        allowed = Allowed(n_under_way=n_under_way)
        n_free = max(0, run.concurrency - n_under_way)
        if n_free < len(fresh):
            allowed.reason, allowed.seconds = "slots", 0.5
        state = pacing.PaceState(pace.requests_at, pace.tokens_at)
        left = None if run.budget is None else run.budget - run.spent - run.reserved
        wanted: list[tuple[Question, Ticket | None]] = [(ticket.question, ticket) for ticket in again]
        wanted += [(question, None) for question in fresh[:n_free]]
        places: list[tuple[Question, Ticket | None, Decimal, float]] = []
        for question, ticket in wanted:
            price = self.asker.get_highest_price(question)
            if left is not None and price > left:
                allowed.reason, allowed.seconds = "budget", 0.5
                break
            state, wait = pacing.reserve(
                state,
                now,
                1,
                self._count_tokens(question),
                self.asker.provider.requests_per_minute,
                self.asker.provider.tokens_per_minute,
                longest_wait=LONGEST_PLACE_SECONDS,
            )
            if wait > LONGEST_PLACE_SECONDS:
                allowed.reason, allowed.seconds = "pace", wait
                break
            left = None if left is None else left - price
            places.append((question, ticket, price, wait))
        self._take(places, allowed, run)
        run.reserved += sum(ticket.reserved for ticket in allowed.tickets)
        run.save(update_fields=["reserved"])
        pace.requests_at, pace.tokens_at = state.requests_at, state.tokens_at
        pace.save(update_fields=["requests_at", "tokens_at"])
        return allowed

    def _take(
        self,
        places: Sequence[tuple[Question, Ticket | None, Decimal, float]],
        allowed: Allowed,
        run: AnnotatorRun,
        batch: ProviderBatch | None = None,
    ) -> None:
        """Claim the rows of some questions; a row that another has claimed or answered by now is left to it."""
        now = timezone.now()
        mine = {
            "state": CallState.CLAIMED,
            "claimed_by": self.token,
            "claimed_until": now + timedelta(seconds=self.claim_seconds),
            "run": run,
            "batch": batch,
        }
        held = [ticket.call_id for _, ticket, _, _ in places if ticket]
        ours = ModelCall.objects.filter(pk__in=held, state=CallState.CLAIMED, claimed_by=self.token)
        ours.update(claimed_until=mine["claimed_until"], attempts=F("attempts") + 1)
        new = sorted((place[0] for place in places if place[1] is None), key=lambda each: each.digest)
        present = self.look_up(new)
        expired = Q(state=CallState.CLAIMED, claimed_until__lte=now)
        free = ModelCall.objects.filter(expired | Q(state=CallState.FAILED))
        cleared = {"fault": "", "reason": "", "answered_at": None}
        # Of tries since this run was started the number is kept: a call has only so many.
        tried = Q(run=run) & (Q(claimed_until__gte=run.started_at) | Q(answered_at__gte=run.started_at))
        numbers = [row.pk for row in present.values() if not self.is_settled(row)]
        free.filter(tried, pk__in=numbers).update(**mine, **cleared, attempts=F("attempts") + 1)
        free.filter(pk__in=numbers).update(**mine, **cleared, attempts=1)
        ModelCall.objects.bulk_create(
            [
                ModelCall(
                    study_id=run.annotator.study_id,
                    request_hash=question.digest,
                    provider=self.asker.provider.name,
                    model_name=self.asker.annotator.model_name,
                    repairs_id=question.repairs,
                    attempts=1,
                    **mine,
                )
                for question in new
                if question.digest not in present
            ],
            ignore_conflicts=True,
        )
        rows = self.look_up(question for question, *_ in places)
        for question, _, price, wait in places:
            row = rows[question.digest]
            if row.state == CallState.CLAIMED and row.claimed_by == self.token:
                allowed.tickets.append(Ticket(question, row.pk, row.attempts, price, wait))
            else:
                allowed.lost.append(question)

    def _hold_pace(self) -> ProviderPace:
        ProviderPace.objects.get_or_create(provider=self.asker.provider.name)
        return ProviderPace.objects.select_for_update(no_key=True).get(provider=self.asker.provider.name)

    def _count_tokens(self, question: Question) -> int:
        return question.prompt_tokens + self.asker.annotator.max_output_tokens

    # --- after a call -------------------------------------------------------------------------

    @transaction.atomic
    def store(self, results: Sequence[tuple[Ticket, Answer | CallFault]]) -> None:
        """Write down what came back, and settle what it cost. Nothing is read yet."""
        run = AnnotatorRun.objects.select_for_update(no_key=True).get(pk=self.run.pk)
        n_unused, pause = 0, 0.0
        for ticket, result in results:
            row = ModelCall.objects.filter(pk=ticket.call_id, state=CallState.CLAIMED, claimed_by=self.token)
            price = self._price(ticket.question.prompt_tokens, result)
            row.update(**self._describe(ticket.sends, result, price))
            run.spent += price  # even where the row has gone to another by now: it was paid
            if isinstance(result, Answer) or result.kind not in MAYBE_PAID or price:
                run.reserved -= ticket.reserved
            run.is_standin |= result.is_standin
            n_unused += self._count_unused_tokens(ticket.question, result)
            if isinstance(result, CallFault) and result.is_transient:
                pause = max(pause, result.retry_after or 0.0)
        run.save(update_fields=["spent", "reserved", "is_standin"])
        self._settle_pace(n_unused, min(pause, LONGEST_PAUSE_SECONDS))
        faults = [result for _, result in results if isinstance(result, CallFault) and result.stops_run]
        if faults:
            stop_run(self.run, f"{faults[0].message} Once that is mended, resume the run.")

    def _describe(self, n_sends: int, result: Answer | CallFault, price: Decimal) -> dict[str, Any]:
        now = timezone.now()
        if isinstance(result, Answer):
            return {
                "state": CallState.ANSWERED,
                "reply": storable(result.refusal or result.text),
                "finish_reason": REFUSAL if result.refusal else result.finish_reason[:40],
                "served_model": result.served_model[:200],
                "fingerprint": result.fingerprint[:100],
                "logprobs": storable(result.logprobs),
                "prompt_tokens": result.prompt_tokens,
                "completion_tokens": result.completion_tokens,
                "cost": price,
                "latency_seconds": result.latency_seconds,
                "is_standin": result.is_standin,
                "claimed_by": None,
                "claimed_until": None,
                "fault": "",
                "reason": "",
                "answered_at": now,
            }
        told = {"reason": storable(result.message), "reply": storable(result.body)}
        if result.stops_run:  # the same question is good once somebody has mended what is wrong
            return {"claimed_until": now, "attempts": 0, **told}
        if is_worth_another_send(result, n_sends):
            return told
        return {
            **told,
            "state": CallState.FAILED,
            "fault": result.kind.value,
            "prompt_tokens": result.prompt_tokens,
            "completion_tokens": result.completion_tokens,
            "cost": price,
            "latency_seconds": result.latency_seconds,
            "is_standin": result.is_standin,
            "claimed_by": None,
            "claimed_until": None,
            "answered_at": now,
        }

    def _price(self, prompt_tokens: int, result: Answer | CallFault) -> Decimal:
        if result.prompt_tokens is not None and result.completion_tokens is not None:
            return self.asker.get_price(result.prompt_tokens, result.completion_tokens)
        if isinstance(result, Answer):  # some servers count nothing
            return self.asker.get_price(prompt_tokens, estimate_text_tokens(result.text))
        return Decimal(0)

    def _count_unused_tokens(self, question: Question, result: Answer | CallFault) -> int:
        if result.prompt_tokens is None or result.completion_tokens is None:
            return 0
        return max(0, self._count_tokens(question) - result.prompt_tokens - result.completion_tokens)

    def _settle_pace(self, n_unused: int, pause_seconds: float) -> None:
        if not pause_seconds and not (n_unused and self.asker.provider.tokens_per_minute):
            return
        pace = self._hold_pace()
        state = pacing.PaceState(pace.requests_at, pace.tokens_at, pace.paused_until)
        state = pacing.refund(state, n_unused, self.asker.provider.tokens_per_minute)
        if pause_seconds:
            state = pacing.pause(state, timezone.now(), pause_seconds)
        pace.tokens_at, pace.paused_until = state.tokens_at, state.paused_until
        pace.save(update_fields=["tokens_at", "paused_until"])

    @transaction.atomic
    def release(self, unsent: Sequence[Ticket], waiting: Sequence[Ticket]) -> None:
        """Give claims back: of calls that were allowed but not sent, and of calls that wait for another try."""
        run = AnnotatorRun.objects.select_for_update(no_key=True).get(pk=self.run.pk)
        run.reserved -= sum((ticket.reserved for ticket in unsent), Decimal(0))
        run.save(update_fields=["reserved"])
        ours = ModelCall.objects.filter(state=CallState.CLAIMED, claimed_by=self.token)
        ours.filter(pk__in=[ticket.call_id for ticket in unsent]).update(
            claimed_until=timezone.now(), attempts=F("attempts") - 1
        )
        ours.filter(pk__in=[ticket.call_id for ticket in waiting]).update(claimed_until=timezone.now())

    def store_readings(self, readings: Sequence[Reading]) -> None:
        """Store readings; one that is there already stays."""
        column = get_post_field(self.run)
        ModelReading.objects.bulk_create(
            [
                ModelReading(
                    run_id=self.run.pk,
                    **{column: reading.post_id},
                    sample=reading.sample,
                    call_id=reading.call_id,
                    ratings=reading.ratings,
                    detail=reading.detail,
                    fault=reading.fault,
                    reason=reading.reason,
                )
                for reading in readings
            ],
            ignore_conflicts=True,
            batch_size=500,
        )


def is_worth_another_send(fault: CallFault, n_sends: int) -> bool:
    """Whether a call that failed after so many sends is to be sent again."""
    most = MOST_LIMITED_SENDS if fault.kind is FaultKind.RATE_LIMITED else MOST_SENDS
    return fault.is_transient and n_sends < most


def read_row(asker: Asker, question: Question, row: ModelCall) -> Reading | Question:
    """Turn a settled row into a reading, or into the repair question that is due."""
    if row.state == CallState.FAILED:
        return fail(question, row.pk, row.fault, row.reason)
    is_refusal = row.finish_reason == REFUSAL
    return asker.read(
        question,
        row.pk,
        "" if is_refusal else row.reply,
        row.finish_reason,
        row.reply if is_refusal else "",
        row.logprobs,
    )
