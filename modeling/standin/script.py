"""What the stand-in does wrong, when, and to whom: a script that a test or a person writes."""

import hashlib
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from .planting import Plant, read_plant

CHAT_PATH = "/v1/chat/completions"
ANY_PATH = "*"


class Fault(StrEnum):
    """Everything that can be wrong with a reply."""

    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    QUOTA = "quota"  # 429, insufficient_quota
    SERVER_ERROR = "server_error"  # 500
    BAD_GATEWAY = "bad_gateway"  # 502 with a page of HTML
    RESET = "reset"  # the connection breaks before an answer
    HANG = "hang"  # nothing comes
    DRIP = "drip"  # one byte a second
    CUT_OFF = "cut_off"  # the body ends early
    HTML_200 = "html_200"  # a page of HTML with status 200
    MALFORMED_JSON = "malformed_json"  # status 200, the body is no JSON
    KEY_REVOKED = "key_revoked"  # 401
    MODEL_GONE = "model_gone"  # 404
    EMPTY_CHOICES = "empty_choices"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    TRUNCATED = "truncated"  # finish_reason length
    EMPTY = "empty"  # content ''
    NOT_JSON = "not_json"  # content in prose
    EXTRA_TEXT = "extra_text"  # words around the JSON
    CODE_FENCE = "code_fence"
    ARRAY = "array"  # a list where an object belongs
    WRONG_KEYS = "wrong_keys"
    MISSING_VALUE = "missing_value"
    DUPLICATE_KEYS = "duplicate_keys"
    OUT_OF_SCALE = "out_of_scale"
    FRACTION = "fraction"  # 2.5
    WORDS = "words"  # 'three'
    NAN = "nan"
    TOO_LONG = "too_long"  # 200 kB


IN_CONTENT = frozenset(list(Fault)[list(Fault).index(Fault.EMPTY_CHOICES) :])
_MARKER = re.compile(r"\[\[fault:([a-z_0-9]+)(?:\*(\d+))?\]\]")


@dataclass(frozen=True)
class Rule:
    """A fault and the requests that get it: those for which every condition given holds.

    Attributes
    ----------
    fault : which
    share : share of the requests, drawn with the script's seed for each request and each time that it is sent
    first, last : which requests by their number on this path, counted from 1
    from_second, to_second : for a time, counted from when the script began
    model : a model's name
    path : of which requests; '*' for all
    retry_after : what a 429 asks for, in seconds
    """

    fault: Fault
    share: float | None = None
    first: int | None = None
    last: int | None = None
    from_second: float | None = None
    to_second: float | None = None
    model: str | None = None
    path: str = CHAT_PATH
    retry_after: float = 1.0


@dataclass(frozen=True)
class Script:
    """How the stand-in behaves.

    Attributes
    ----------
    rules : the first that fits a request decides
    seed : of the shares
    requests_per_minute : above it 429 is answered, with the seconds to wait; 0 sets no limit
    burst : how many requests may come at once under that limit
    latency_seconds : how long every answer takes
    gullible : whether the model obeys instructions planted in a post
    plant : errors that the model makes on purpose, about posts whose truth it is told
    batch_seconds : how long a batch takes at least
    batch_ends : 'completed', 'failed' (nothing answered) or 'expired' (half of it answered)
    tuning_seconds : how long a fine-tuning job takes at least
    tuning_ends : 'succeeded' or 'failed'
    """

    rules: tuple[Rule, ...] = ()
    seed: int = 0
    requests_per_minute: int = 0
    burst: int = 10
    latency_seconds: float = 0.0
    gullible: bool = False
    plant: Plant | None = None
    batch_seconds: float = 0.0
    batch_ends: str = "completed"
    tuning_seconds: float = 0.0
    tuning_ends: str = "succeeded"

    def __post_init__(self) -> None:
        if self.batch_ends not in ("completed", "failed", "expired"):
            raise ValueError(f"batch_ends must be completed, failed or expired, not {self.batch_ends!r}.")
        if self.tuning_ends not in ("succeeded", "failed"):
            raise ValueError(f"tuning_ends must be succeeded or failed, not {self.tuning_ends!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the script as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Script":
        """Return the script that JSON holds.

        Raises
        ------
        ValueError
            On an unknown field or fault, naming it and those that there are.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(stored) - known):
            raise ValueError(f"A script has no {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
        plant = stored.get("plant")
        return cls(
            **{
                **stored,
                "rules": tuple(_read_rule(rule) for rule in stored.get("rules", ())),
                "plant": None if plant is None else read_plant(plant),
            }
        )


def _read_rule(stored: Mapping[str, Any]) -> Rule:
    known = {field.name for field in fields(Rule)}
    if unknown := sorted(set(stored) - known):
        raise ValueError(f"A rule has no {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return Rule(**{**stored, "fault": read_fault(str(stored.get("fault", "")))})


def read_fault(name: str) -> Fault:
    """Return the fault of a name; ValueError with all names for any other."""
    try:
        return Fault(name)
    except ValueError:
        raise ValueError(f"There is no fault '{name}'; there are {', '.join(Fault)}.") from None


def read_rule(text: str) -> Rule:
    """Return the rule that a command line writes as 'fault' or 'fault:share', such as 'html_200:0.02'.

    Raises
    ------
    ValueError
        For an unknown fault or a share that is not between 0 and 1.
    """
    name, _, share = text.partition(":")
    fault = read_fault(name)
    if not share:
        return Rule(fault)
    try:
        number = float(share)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError(f"The share of '{text}' must be between 0 and 1, such as {name}:0.02.")
    return Rule(fault, share=number)


@dataclass(frozen=True)
class Verdict:
    """What becomes of one request: a fault, or none."""

    fault: Fault | None = None
    retry_after: float = 1.0


class Player:
    """Follows one script: counts requests, draws shares, fills the bucket. Threads may share it."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._numbers: Counter[str] = Counter()
        self._sent: Counter[bytes] = Counter()
        self._marked: Counter[tuple[str, str]] = Counter()
        self._tokens = float(script.burst)
        self._filled = self._began

    def judge(self, path: str, body: bytes, *, model: str = "", text: str = "") -> Verdict:
        """Return what becomes of a request; every call counts as one."""
        script = self.script
        now = time.monotonic()
        with self._lock:
            self._numbers[path] += 1
            number = self._numbers[path]
            if path == CHAT_PATH and script.requests_per_minute and (wait := self._wait(now)) > 0:
                return Verdict(Fault.RATE_LIMITED, wait)
            for name, times in _MARKER.findall(text):
                fault = read_fault(name)
                self._marked[text, name] += 1
                if not times or self._marked[text, name] <= int(times):
                    return Verdict(fault)
            if not script.rules:
                return Verdict()
            digest = hashlib.blake2b(body, digest_size=8).digest()
            self._sent[digest] += 1
            for place, rule in enumerate(script.rules):
                if self._fits(rule, path, number, now - self._began, model) and (
                    rule.share is None
                    or random.Random(  # noqa: S311 the draw decides no secret
                        f"{script.seed} {place} {digest.hex()} {self._sent[digest]}"
                    ).random()
                    < rule.share
                ):
                    return Verdict(rule.fault, rule.retry_after)
        return Verdict()

    def _wait(self, now: float) -> float:
        per_second = self.script.requests_per_minute / 60
        self._tokens = min(float(self.script.burst), self._tokens + (now - self._filled) * per_second)
        self._filled = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / per_second

    @staticmethod
    def _fits(rule: Rule, path: str, number: int, seconds: float, model: str) -> bool:
        return (
            rule.path in (ANY_PATH, path)
            and (rule.model is None or rule.model == model)
            and (rule.first is None or number >= rule.first)
            and (rule.last is None or number <= rule.last)
            and (rule.from_second is None or seconds >= rule.from_second)
            and (rule.to_second is None or seconds < rule.to_second)
        )
