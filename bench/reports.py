"""How long the whole agreement report takes, with its intervals, against the limit we set ourselves."""

import resource
import time

import numpy as np

from bench import Timing, bench, median_cpu_seconds
from bench.agreement import N_POSTS, N_RATERS, N_VALUES, POSTS_PER_RATER, made_up_study
from modeling.reports.agreement import describe_agreement
from modeling.reports.data import AgreementData, ValueInfo

LIMIT_SECONDS, LIMIT_SECONDS_100X, LIMIT_BYTES_100X = 5, 120, 4 * 10**9
PARTIES = ("Democrat", "Independent", "Republican")


@bench("agreement_report")
def agreement_report() -> Timing:
    """The agreement report of a study as large as the published one, everything known of raters and posts."""
    data = made_up_data(1)
    seconds = median_cpu_seconds(lambda: describe_agreement(data, seed=1))
    return Timing(
        ratio=LIMIT_SECONDS / seconds,
        reference=f"the limit of {LIMIT_SECONDS} s",
        medians={"ours": seconds, "reference": LIMIT_SECONDS},
        more={"n_annotations": len(data.ratings)},
    )


@bench("agreement_report_100x", on_request=True)
def agreement_report_100x() -> Timing:
    """The same of a study a hundred times as large, once: wall time, and the peak memory of this process."""
    describe_agreement(made_up_data(1), seed=1)  # compiles what is compiled
    data = made_up_data(100)
    parts: dict[str, float] = {}
    begun_cpu = time.process_time()
    begun = last = time.perf_counter()
    doing = "begin"

    def note(done: int, total: int, what: str) -> None:
        nonlocal last, doing
        now = time.perf_counter()
        parts[doing] = round(now - last, 2)
        last, doing = now, what

    describe_agreement(data, seed=1, report=note)
    seconds = time.perf_counter() - begun
    return Timing(
        ratio=LIMIT_SECONDS_100X / seconds,
        reference=f"the limit of {LIMIT_SECONDS_100X} s, one run",
        medians={"ours": seconds, "reference": LIMIT_SECONDS_100X},
        more={
            "clock": "wall",
            "cpu_s": round(time.process_time() - begun_cpu, 1),
            "n_annotations": len(data.ratings),
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "peak_bytes_at_most": LIMIT_BYTES_100X,
            "parts": parts,
            "runs": 1,
        },
    )


def made_up_data(n_times: int) -> AgreementData:
    """Return the made-up study, `n_times` side by side with raters and posts of their own each time."""
    ratings, posts = made_up_study()
    raters = np.repeat(np.arange(N_RATERS), POSTS_PER_RATER)
    shift = np.repeat(np.arange(n_times), len(posts))
    n_raters, n_posts = N_RATERS * n_times, N_POSTS * n_times
    rng = np.random.default_rng(11)
    return AgreementData(
        ratings=np.tile(ratings, (n_times, 1)),
        raters=np.tile(raters, n_times) + shift * N_RATERS,
        posts=np.tile(posts, n_times) + shift * N_POSTS,
        n_raters=n_raters,
        n_posts=n_posts,
        values=tuple(ValueInfo(f"value_{k}", f"Value {k}", f"Value {k}") for k in range(N_VALUES)),
        scale=(0, 6),
        post_ids=tuple(range(1, n_posts + 1)),
        post_keys=tuple(f"post-{k}" for k in range(n_posts)),
        own_scores=rng.normal(0, 1, (n_raters, N_VALUES)),
        own_scores_source="made up",
        groups={"party": [PARTIES[k] for k in rng.integers(len(PARTIES), size=n_raters)]},
        numbers={"age": rng.integers(18, 90, n_raters).astype(np.float64)},
        labels={"party": "Party", "age": "Age"},
        screening=rng.integers(0, 7, (n_posts, N_VALUES)).astype(np.float64),
        posts_per_rater=POSTS_PER_RATER,
        reward=600,
        currency="GBP",
    )
