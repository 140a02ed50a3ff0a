"""A study whose posts say what they express in words of their own, with soft labels that say how sure one can be."""

import json

import numpy as np
from django.utils import timezone

from annotation.models import Post
from modeling.artefacts import save_arrays
from modeling.encoders.settings import EncoderSettings
from modeling.models import ExpertItem, ExpertLabel, ExpertSet, SoftLabelSet
from modeling.models.encoders import Work
from modeling.softlabels.mixing import to_grains
from modeling.softlabels.settings import RUN, SoftLabelSettings, Source
from tests.factories import StudyFactory, ValueSystemFactory
from tests.modeling.rated import build_flat_tree

POINTS = np.arange(7.0)
WORDS = (
    ("rules", "order", "law", "parade"),
    ("games", "dance", "jokes", "party"),
    ("help", "nurse", "comfort", "family"),
)
NOISE = ("today", "street", "window", "coffee", "monday", "corner", "paper", "morning", "yellow", "seven")
SMALL = EncoderSettings(n_folds=3, linear={"epochs": 6, "buckets_log2": 12, "penalty": 0.3})


def make_study(n_posts=90, *, seed=0, sources=("forum",), foreign=()):
    """A study of three values; posts whose source is in `foreign` express them by other words."""
    rng = np.random.default_rng(seed)
    study = StudyFactory(
        value_system=ValueSystemFactory(tree=build_flat_tree(3)), posts=0, questions=0, steps=("labeling",)
    )
    means = rng.choice([0.2, 5.0], size=(n_posts, 3), p=[0.6, 0.4])
    posts = []
    for number in range(n_posts):
        source = sources[number % len(sources)]
        told = list(rng.choice(NOISE, 4))
        for value, words in enumerate(WORDS):
            if means[number, value] > 3:
                told += [word[::-1] if source in foreign else word for word in rng.choice(words, 2)]
        rng.shuffle(told)
        posts.append(
            Post(
                study=study,
                key=f"p{number}",
                text=" ".join([*told, f"n{number}"]),
                metadata={"source": source},
            )
        )
    Post.objects.bulk_create(posts)
    return study, means


def make_soft_labels(study, means, *, sd=1.0, is_standin=False):
    """Soft labels around these means, stored as a worker leaves them."""
    posts = list(study.posts.order_by("pk"))
    shares = np.exp(-0.5 * ((POINTS - means[..., None]) / sd) ** 2)
    shares /= shares.sum(axis=-1, keepdims=True)
    name, digest = save_arrays(
        f"soft-{study.slug}",
        sources=np.frombuffer(json.dumps(["A run"]).encode(), dtype=np.uint8),
        source_0=to_grains(shares),
        weights=np.array([1.0]),
        post_ids=np.array([post.pk for post in posts], dtype=np.int64),
        points=POINTS,
    )
    return SoftLabelSet.objects.create(
        study=study,
        name="From a run",
        number=study.soft_label_sets.count() + 1,
        settings=SoftLabelSettings((Source(RUN, 1),)).to_dict(),
        artefact=name,
        artefact_sha256=digest,
        state=Work.DONE,
        finished_at=timezone.now(),
        is_standin=is_standin,
    )


def make_expert_set(study, means, *, n_posts=24):
    """Two experts who say what the first posts express; every second post is dealt into the test part."""
    expert_set = ExpertSet.objects.create(
        study=study, name="Experts", threshold=4, n_experts=2, test_share=0.5
    )
    posts = list(study.posts.order_by("pk")[:n_posts])
    items = ExpertItem.objects.bulk_create(
        ExpertItem(
            expert_set=expert_set, post=post, position=place, split="test" if place % 2 else "development"
        )
        for place, post in enumerate(posts)
    )
    ExpertLabel.objects.bulk_create(
        ExpertLabel(item=item, expert=expert, ratings=tuple(float(round(mean)) for mean in means[place]))
        for place, item in enumerate(items)
        for expert in ("Ada", "Ben")
    )
    return expert_set
