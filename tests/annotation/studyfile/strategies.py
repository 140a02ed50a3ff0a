"""Random study files without faults, for property tests."""

import datetime
from typing import Any

from hypothesis import strategies as st

from annotation.models import Outcome, Study
from tests.annotation.tree.strategies import systems
from tests.every_step import ABOUT_YOU, GRID, TEXT

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
WORDS = TEXTS.filter(str.strip)
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(-1e9, 1e9, allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXTS, each, max_size=3),
    max_leaves=6,
)
CONTEXTS = st.none() | st.fixed_dictionaries(
    {"kind": st.sampled_from(["reply", "quote"]), "text": TEXTS.filter(bool)}
)
STEPS = st.sampled_from(
    [
        {"kind": "consent", "config": {}},
        {"kind": "instructions", "config": TEXT},
        {"kind": "attention_check", "config": {"kind": "number"}},
        {"kind": "attention_check", "config": GRID},
        {"kind": "labeling", "config": {}},
        {"kind": "labeling", "config": {"posts": 3}},
        {"kind": "vcq", "config": {}},
        {"kind": "debrief", "config": TEXT},
    ]
)


def _leaves(node: dict[str, Any]) -> list[str]:
    if "children" not in node:
        return [node["key"]]
    return [key for child in node["children"] for key in _leaves(child)]


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """A whole study file: any value system, posts in any script, any metadata."""
    values = draw(systems())
    keys = draw(st.lists(WORDS, unique=True, max_size=6))
    posts = [
        {
            "key": key,
            "text": draw(TEXTS),
            "context": draw(CONTEXTS),
            "metadata": draw(st.dictionaries(TEXTS, JSON, max_size=3)),
        }
        for key in keys
    ]
    n_calibration = draw(st.integers(0, len(posts)))
    questions = draw(
        st.lists(
            st.tuples(st.sampled_from(keys[:n_calibration]), st.sampled_from(_leaves(values["root"]))),
            unique=True,
            max_size=4,
        )
        if n_calibration
        else st.just([])
    )
    minutes = draw(st.integers(1, 200))
    outcomes = draw(st.lists(st.sampled_from(Outcome.values), unique=True))
    asks = draw(st.booleans())
    return {
        "parallax_study": 1,
        "about": {
            "slug": "random",
            "name": draw(WORDS),
            "title": draw(WORDS),
            "welcome": draw(TEXTS),
            "language": draw(st.sampled_from(["en", "de", "ar"])),
        },
        "assignment": {
            "posts_per_rater": draw(st.integers(1, 500)),
            "strategy": draw(st.sampled_from(Study.Strategy.values)),
            "redundancy_cap": draw(st.none() | st.integers(1, 50)),
            "seed": draw(st.integers(0, 2**31 - 1)),
        },
        "attention": {
            "limit": draw(st.integers(1, 9)),
            "consequence": draw(st.sampled_from(["note", "end"])),
        },
        "time": {
            "estimated_minutes": minutes,
            "max_minutes": draw(st.none() | st.integers(3 * minutes + 40, 20_000)),
        },
        "pay": {
            "reward": draw(st.none() | st.integers(0, 10**6)),
            "currency": draw(st.sampled_from(["GBP", "USD"])),
        },
        "recruiting": {"target_participants": draw(st.none() | st.integers(0, 10**6))},
        "data": {
            "collects_paradata": draw(st.booleans()),
            "retain_until": draw(st.none() | st.dates(min_value=datetime.date(2000, 1, 1)).map(str)),
        },
        "consent": {
            "version": draw(st.integers(1, 99)),
            "title": draw(TEXTS),
            "sections": [{"heading": draw(TEXTS), "text": draw(TEXTS)}],
            "agree": draw(TEXTS),
            "decline": draw(TEXTS),
        },
        "outcome_texts": {
            outcome: {"title": draw(TEXTS), "text": draw(TEXTS)}
            for outcome in draw(st.lists(st.sampled_from(Outcome.values), unique=True))
        },
        "values": values,
        "steps": [
            *draw(st.lists(STEPS, max_size=6)),
            *([{"kind": "questionnaire", "config": {"questionnaire": "about-you"}}] if asks else []),
        ],
        "codes": {outcome: f"Code{number}" for number, outcome in enumerate(outcomes)},
        "questionnaires": {"about-you": ABOUT_YOU} if asks else {},
        "vcq": {
            "posts": posts[:n_calibration],
            "questions": [{"post": post, "value": value} for post, value in questions],
        },
        "posts": posts[n_calibration:],
    }
