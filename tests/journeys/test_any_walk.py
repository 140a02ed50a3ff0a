"""Whatever a person does, in whatever order: no answer is lost or doubled, and there is a way to the end.

Each number is the seed of one walk. For more and longer ones set `PARALLAX_WALKS`, as in
``PARALLAX_WALKS=1000-2000 PARALLAX_WALK_LENGTH=120 pytest tests/journeys/test_any_walk.py``.
"""

import os
from datetime import UTC, datetime

import pytest
import time_machine

from tests.every_step import EVERY_STEP, build_study
from tests.journeys.walker import Walker

pytestmark = pytest.mark.django_db
FIRST, LAST = (int(number) for number in os.environ.get("PARALLAX_WALKS", "1-60").split("-"))
LENGTH = int(os.environ.get("PARALLAX_WALK_LENGTH", "40"))


N_EVERYWHERE = 10  # walks on the servers too: more of them try the code, not the database


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=[pytest.mark.alike] if seed - FIRST >= N_EVERYWHERE else [])
        for seed in range(FIRST, LAST + 1)
    ],
)
def test_any_walk_keeps_every_answer_once_and_ends(seed):
    with time_machine.travel(datetime(2026, 5, 4, 9, 0, tzinfo=UTC), tick=False) as clock:
        study = build_study(
            *EVERY_STEP,
            posts=60,
            questions=4,
            estimated_minutes=5,
            attention_consequence="end",
            redundancy_cap=1 if seed % 2 else None,
            strategy="random" if seed % 3 else "fixed",
        )
        study.steps.filter(kind="labeling").update(config={"posts": 2})
        walker = Walker(study, seed, clock)
        for _ in range(LENGTH):
            clock.shift(0.5)
            walker.act()
        walker.finish()
