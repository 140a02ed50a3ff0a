"""Drawing a consensus set, writing its examples and estimating what teaching by them costs."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from annotation.models import Post
from modeling.artefacts import save_bytes
from modeling.errors import NotEnoughData
from modeling.estimators.data import FitSettings
from modeling.estimators.prepared import hold_out
from modeling.matrices import load_table
from modeling.models import FineTuning
from modeling.prompts.rendering import PostText
from modeling.providers.pricing import cost, estimate_tokens
from modeling.providers.tuning import validate_examples

from .consensus_set import draw_consensus_set
from .examples import Lesson, as_jsonl, write_chats, write_lessons
from .services import tell_dollars
from .settings import Teaching


@dataclass(frozen=True)
class PreparedTuning:
    """What `FineTuning` stores of its examples."""

    post_ids: list[int]
    data_hash: str
    artefact: str
    artefact_sha256: str
    estimate: dict[str, Any]

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def prepare_tuning(tuning: FineTuning) -> PreparedTuning:
    """Draw the consensus set, write its examples into the artefact storage and estimate the cost; no row is touched.

    Posts that fits with the set's seed and share hold out, now that the ratings are as they are, are not in it.

    Raises
    ------
    NotEnoughData
        When too few posts can be drawn or kept, or the provider would not take the examples.
    """
    study, teaching = tuning.study, Teaching.from_dict(tuning.settings)
    of_set = teaching.consensus_set
    table = load_table(study)
    try:
        data = table.as_fit_data()
        held_out = hold_out(data, FitSettings(seed=of_set.seed, holdout_share=of_set.holdout_share))
        texts = _load_texts(table.post_ids)
        blank = np.array([not post.text.strip() for post in texts], dtype=np.bool_)
        found = draw_consensus_set(table.ratings, table.posts, held_out, blank, of_set)
        lessons = [
            Lesson(texts[post], tuple(int(rating) for rating in ratings))
            for post, ratings in zip(found.posts, found.consensus, strict=True)
        ]
        lines = write_chats(tuning.base, lessons) if tuning.base else write_lessons(lessons, table.value_keys)
    except ValueError as error:
        raise NotEnoughData(f"No consensus set can be drawn: {error}.") from error
    content = as_jsonl(lines)
    if tuning.base and (faults := validate_examples(content.decode().splitlines())):
        told = " ".join(faults[:5]) + (f" And {len(faults) - 5} more." if len(faults) > 5 else "")
        raise NotEnoughData(f"A provider would not take these examples. {told}")
    name, digest = save_bytes(f"tuning-{study.slug}", content, ".jsonl")
    return PreparedTuning(
        post_ids=[table.post_ids[post] for post in found.posts],
        data_hash=table.data_hash,
        artefact=name,
        artefact_sha256=digest,
        estimate={
            "set": found.count(),
            **(_estimate(lines, teaching.n_epochs, tuning) if tuning.base else {}),
        },
    )


def _load_texts(post_ids: tuple[int, ...]) -> list[PostText]:
    rows = Post.objects.in_bulk(post_ids)
    return [PostText(rows[pk].text, rows[pk].context_kind, rows[pk].context_text) for pk in post_ids]


def _estimate(lines: list[dict[str, Any]], n_epochs: int, tuning: FineTuning) -> dict[str, Any]:
    n_tokens = sum(estimate_tokens(line["messages"]) for line in lines)
    dollars = cost(n_tokens * n_epochs, 0, tuning.training_price, Decimal(0))
    return {
        "n_examples": len(lines),
        "n_tokens": n_tokens,
        "n_epochs": n_epochs,
        "cost": f"{dollars:f}",
        "basis": (
            f"{len(lines):,} examples of about {n_tokens:,} tokens, counted from their characters, gone through "
            f"{n_epochs} times, at {tell_dollars(tuning.training_price)} for a million. The provider charges by its "
            "own count, which is more likely below this than above."
        ),
    }
