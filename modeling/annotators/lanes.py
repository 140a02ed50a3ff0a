"""A lane: one worker's share of a run's posts, several calls at once.

The thread that works here does everything with the database; calls are in the air in another. Each turn it writes
down what has come back, reads it, and asks the book what may be sent next.
"""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, wait
from itertools import islice

import numpy as np
from django.conf import settings as installation
from django.utils import timezone

from config.llm_providers import Provider
from jobs.errors import Cancelled, LeaseLost
from jobs.registry import Later
from jobs.services import Claim
from modeling.models import AnnotatorRun, ModelCall
from modeling.prompts.rendering import PostText
from modeling.providers.backoff import compute_pause
from modeling.providers.caller import Caller
from modeling.providers.chat import Answer
from modeling.providers.faults import CallFault, FaultKind

from .asking import Asker, Question, Reading, fail
from .calls import Book, Ticket, is_worth_another_send, read_row
from .facts import find_last_answer
from .limits import MOST_SENDS, limit
from .runs import stop_for_budget, stop_run
from .selecting import find_samples_read, find_unread, iterate_unread

TOGETHER_SECONDS = 0.02  # replies that come within this time are written down together
TURN_SECONDS = 0.5  # at most, between two looks at the job and the run
AWAY_AFTER = 5  # calls in a row without an answer
AWAY_SECONDS = 30.0  # until a provider that is away is asked again
FIRST_REFUSED = 10  # requests, after which a run that had no answer at all stops
POSTS_AHEAD = 50


def get_provider(run: AnnotatorRun) -> Provider | None:
    """Return the provider that a run's model is asked at; stop the run when the installation has it no more."""
    name = run.annotator.provider
    provider = installation.LLM_PROVIDERS.get(name)
    if provider is None:
        stop_run(
            run,
            f"This installation knows no provider '{name}' any more: name it in LLM_PROVIDERS, then resume the run.",
        )
    return provider


def work_lane(run: AnnotatorRun, claim: Claim, first: int, last: int) -> Later | dict[str, int]:
    """Read the posts of a run from id `first` to id `last`; return what was done, or when to be called again."""
    provider = get_provider(run)
    if provider is None:
        return {"n_read": 0, "n_failed": 0}
    with Caller(provider) as caller:
        return _Lane(run, claim, Asker(run.annotator, provider), caller, first, last).work()


class _Lane:
    def __init__(
        self, run: AnnotatorRun, claim: Claim, asker: Asker, caller: Caller, first: int, last: int
    ) -> None:
        self.run, self.claim, self.asker, self.caller = run, claim, asker, caller
        self.book = Book(run, asker)
        self.rng = np.random.default_rng([claim.job_id, claim.attempt])
        self.posts = iterate_unread(run, first, last)
        self.n_total = find_unread(run).filter(pk__gte=first, pk__lte=last).count() * run.annotator.samples
        self.fresh: deque[Question] = deque()
        self.in_hand: set[str] = set()  # hashes this lane is about: two posts of one text are one question
        self.elsewhere: list[tuple[float, Question]] = []
        self.timed: list[tuple[float, Ticket]] = []  # may be sent, at their instant
        self.again: list[tuple[float, Ticket]] = []  # wait for another try
        self.flying: dict[Future[Answer | CallFault], Ticket] = {}
        self.readings: list[Reading] = []
        self.n_read = self.n_failed = self.n_misses = self.n_answers = self.n_refused = 0
        self.window = (
            1.0  # calls at once: doubles with answers up to what went well before, then grows slowly
        )
        self.ceiling = float(run.concurrency)
        self.ends_at = time.monotonic() + limit("ANNOTATOR_LANE_SECONDS")
        self.answered_at = self.moved_at = time.monotonic()
        self.ask_at = 0.0  # before then the book would let nothing through
        self.outcome: Later | None = None

    # --- the turns ------------------------------------------------------------------------------

    def work(self) -> Later | dict[str, int]:
        try:
            return self._work()
        except KeyboardInterrupt:
            self._leave()  # else whoever goes on would wait until the calls that were taken are free again
            raise

    def _work(self) -> Later | dict[str, int]:
        given_up: Exception | None = None
        while True:
            try:
                self.claim.report(self.n_read + self.n_failed, self.n_total, "posts read")
            except (Cancelled, LeaseLost) as error:
                given_up = error
            if given_up or not self._take_turn():
                break
        self._leave()
        if given_up:
            raise given_up
        return self.outcome or {"n_read": self.n_read, "n_failed": self.n_failed}

    def _take_turn(self) -> bool:
        """Send what may be sent, wait for replies, write them down; False when it is time to leave."""
        now = time.monotonic()
        if now >= self.ends_at:
            self.outcome = Later(0, "makes room for other work")
            return False
        self._look_ahead(now)
        if not self._ask_book(now):
            return False
        self._send_due()
        if not (self.flying or self.fresh or self.elsewhere or self.timed or self.again or self.readings):
            return False
        self._collect(self._time_to_next(time.monotonic()))
        return self._is_worth_waiting()

    def _look_ahead(self, now: float) -> None:
        """Have questions ready; those answered before are read at once."""
        due = [question for look_at, question in self.elsewhere if look_at <= now]
        self.elsewhere = [(look_at, question) for look_at, question in self.elsewhere if look_at > now]
        if due:
            self._sort(due)
        while len(self.fresh) < self.run.concurrency and len(self.readings) < 500:
            page = list(islice(self.posts, POSTS_AHEAD))
            if not page:
                return
            self._sort(list(self._ask_about(page)))

    def _ask_about(self, page: list[tuple[int, PostText]]) -> Iterator[Question]:
        samples = range(self.run.annotator.samples)
        done = find_samples_read(self.run, [post_id for post_id, _ in page]) if len(samples) > 1 else ()
        for post_id, post in page:
            for sample in samples:
                if (post_id, sample) not in done:
                    yield self.asker.ask(post_id, post, sample)

    def _sort(self, questions: list[Question]) -> None:
        """Read what is answered, leave to others what they have taken, and keep the rest to be sent."""
        while questions:
            rows = self.book.look_up(questions)
            repairs: list[Question] = []
            for question in questions:
                row = rows.get(question.digest)
                if row and self.book.is_settled(row):
                    if (repair := self._read(question, row)) is not None:
                        repairs.append(repair)
                elif question.digest in self.in_hand:
                    self.elsewhere.append((time.monotonic() + 0.2, question))
                elif row and self.book.is_taken(row):
                    self.elsewhere.append((time.monotonic() + 1.0, question))
                else:
                    self.in_hand.add(question.digest)
                    self.fresh.append(question)
            questions = repairs

    def _ask_book(self, now: float) -> bool:
        """Claim what may be sent now, and store readings; False when the run has ended or must pause for long."""
        n_wanted = int(self.window) - len(self.flying) - len(self.timed)
        due = [ticket for due_at, ticket in self.again if due_at <= now]
        due = sorted(due, key=lambda ticket: -ticket.sends)[: max(0, n_wanted)]
        fresh = list(islice(self.fresh, max(0, n_wanted - len(due)))) if now >= self.ask_at else []
        if now < self.ask_at:
            due = []
        if not (due or fresh or self.readings):
            return True
        allowed = self.book.allow(fresh, due, self.readings)
        self.readings = []
        sent = {ticket.call_id for ticket in allowed.tickets}
        digests = {ticket.question.digest for ticket in allowed.tickets}
        lost = {question.digest for question in allowed.lost}
        self.again = [
            (at, ticket)
            for at, ticket in self.again
            if ticket.call_id not in sent and ticket.question.digest not in lost
        ]
        self.fresh = deque(each for each in self.fresh if each.digest not in digests | lost)
        self.elsewhere += [(now + 1.0, question) for question in allowed.lost]
        self.in_hand -= lost
        now = time.monotonic()
        self.timed += [(now + ticket.wait_seconds, ticket) for ticket in allowed.tickets]
        if allowed.reason == "ended":
            return False
        if allowed.reason == "budget" and not (self.flying or self.timed):
            n_others = allowed.n_under_way - len(self.again)
            if n_others <= 0:  # whatever is under way may leave something over
                stop_for_budget(self.run)
                return False
        if allowed.reason == "pause" and allowed.seconds > limit("ANNOTATOR_PATIENCE_SECONDS"):
            self.outcome = Later(allowed.seconds, "the provider asked to wait")
            return False
        if allowed.reason and not allowed.tickets:
            self.ask_at = now + allowed.seconds
        return True

    def _send_due(self) -> None:
        now = time.monotonic()
        for due_at, ticket in self.timed:
            if due_at <= now:
                self.flying[self.caller.submit(ticket.question.request)] = ticket
        self.timed = [(due_at, ticket) for due_at, ticket in self.timed if due_at > now]

    def _time_to_next(self, now: float) -> float:
        """Return for how long nothing can happen but a reply."""
        if self.readings and not self.flying:
            return 0.0
        instants = [at for at, _ in (*self.timed, *self.again, *self.elsewhere)]
        if self.fresh:
            instants.append(self.ask_at)
        soonest = min(instants, default=now + TURN_SECONDS)
        return min(TURN_SECONDS, max(0.005, max(soonest, self.ask_at if not self.timed else 0.0) - now))

    # --- replies --------------------------------------------------------------------------------

    def _collect(self, seconds: float) -> None:
        """Wait for replies at most so long; write all that have come down, then read them."""
        if not self.flying:
            time.sleep(seconds)
            return
        wait(self.flying, timeout=seconds, return_when=FIRST_COMPLETED)
        if any(future.done() for future in self.flying):
            wait(self.flying, timeout=TOGETHER_SECONDS, return_when=ALL_COMPLETED)
        self._write_down()

    def _write_down(self) -> None:
        back = [(future, ticket) for future, ticket in self.flying.items() if future.done()]
        if not back:
            return
        results = [(ticket, future.result()) for future, ticket in back]
        self.book.store(results)
        for future, ticket in back:
            del self.flying[future]
            self.in_hand.discard(ticket.question.digest)
        self.moved_at = time.monotonic()
        answered = [(ticket, result) for ticket, result in results if isinstance(result, Answer)]
        rows = ModelCall.objects.in_bulk([ticket.call_id for ticket, _ in results])
        for ticket, _ in answered:
            self._take_answer(ticket, rows[ticket.call_id])
        missed = [(ticket, result) for ticket, result in results if isinstance(result, CallFault)]
        for ticket, fault in missed:
            self._take_fault(ticket, fault)
        if any(fault.is_transient for _, fault in missed):
            self.ceiling = max(1.0, self.window / 2)
            self.window = 1.0 if self.n_misses >= AWAY_AFTER else self.ceiling

    def _take_answer(self, ticket: Ticket, row: ModelCall) -> None:
        self.n_answers += 1
        self.n_misses = 0
        self.answered_at = time.monotonic()
        if self.window < self.ceiling:
            self.window = min(self.window * 2, self.ceiling)
        else:
            self.window = min(self.window + 1 / self.window, float(self.run.concurrency))
        if row.state != ModelCall.State.ANSWERED:  # another took the call over while this process was paused
            self.elsewhere.append((time.monotonic(), ticket.question))
            return
        repair = self._read(ticket.question, row)
        if repair is not None:
            self._sort([repair])
            self.fresh.rotate(1)  # a repair comes before new posts

    def _take_fault(self, ticket: Ticket, fault: CallFault) -> None:
        if fault.stops_run:  # the book has stopped the run; the next turn sees it
            return
        if fault.is_transient:
            self.n_misses += 1
            if is_worth_another_send(fault, ticket.sends):
                pause = compute_pause(
                    min(ticket.sends, MOST_SENDS),
                    retry_after=fault.retry_after,
                    rng=self.rng,
                    first_pause=limit("ANNOTATOR_BACKOFF_SECONDS"),
                )
                self.in_hand.add(ticket.question.digest)
                self.again.append((time.monotonic() + pause, ticket))
                return
        if fault.kind is FaultKind.BAD_REQUEST:
            self.n_refused += 1
        self._keep(fail(ticket.question, ticket.call_id, fault.kind.value, fault.message))

    def _read(self, question: Question, row: ModelCall) -> Question | None:
        """Turn a settled row into a reading, or into the repair question that is due."""
        found = read_row(self.asker, question, row)
        if isinstance(found, Question):
            return found
        self._keep(found)
        return None

    def _keep(self, reading: Reading) -> None:
        self.readings.append(reading)
        if reading.fault:
            self.n_failed += 1
        else:
            self.n_read += 1
        self.moved_at = time.monotonic()

    # --- leaving --------------------------------------------------------------------------------

    def _is_worth_waiting(self) -> bool:
        """Whether to take another turn; a provider that is away, or a wait without end, frees the worker."""
        now = time.monotonic()
        if self.n_refused >= FIRST_REFUSED and not self.n_answers and not find_last_answer(self.run):
            return not stop_run(
                self.run,
                f"The provider refused the first {self.n_refused} requests. Look at what it said of them, mend the "
                "annotator model or the prompt, and make a new run.",
            )
        patience = limit("ANNOTATOR_PATIENCE_SECONDS")
        is_away = self.n_misses >= AWAY_AFTER and now - self.answered_at > patience
        if not is_away and (self.flying or now - self.moved_at <= patience):
            return True
        silence = limit("ANNOTATOR_SILENCE_SECONDS")
        since = max(filter(None, (find_last_answer(self.run), self.run.started_at)))
        if is_away and (timezone.now() - since).total_seconds() > silence:
            stop_run(
                self.run,
                f"The provider gave no answer for {silence / 60:.0f} minutes. Resume the run when it is there again.",
            )
            return False
        note = "the provider does not answer" if is_away else "waits for its turn"
        self.outcome = Later(AWAY_SECONDS if is_away else max(1.0, self.ask_at - now), note)
        return False

    def _leave(self) -> None:
        """Wait for the calls in the air, write down everything, and give back what was not sent."""
        unsent = [ticket for _, ticket in self.timed]
        self.timed = []
        while self.flying:
            wait(self.flying, timeout=TURN_SECONDS, return_when=FIRST_COMPLETED)
            self._write_down()
        waiting = [ticket for _, ticket in self.again]
        if unsent or waiting:
            self.book.release(unsent, waiting)
        if self.readings:
            self.book.store_readings(self.readings)
            self.readings = []
