"""A set whose experts follow known rules, and models that err in known ways: the ground of error reports."""

from dataclasses import replace

import numpy as np

from annotation.models import Post
from annotation.selectors import get_tree
from modeling.models import (
    AnnotatorModel,
    AnnotatorRun,
    ExpertItem,
    ExpertLabel,
    ExpertSet,
    ModelReading,
    PromptVersion,
)
from modeling.prompts.shipped import values_prompt
from tests.factories import StudyFactory, ValueSystemFactory, load_nineteen

THRESHOLD = 3
GIVEN, SEEN = "benevolence_caring", "benevolence_dependability"
OVERSEEN = "achievement"  # given where experts see nothing


def make_planted_set(n_posts=240, *, seed=1, test_share=0.25):
    """Posts of which each expresses none to two values, labeled alike by two experts."""
    study = StudyFactory(
        posts=0, questions=0, steps=(), value_system=ValueSystemFactory(tree=load_nineteen()), seed=3
    )
    posts = Post.objects.bulk_create(
        Post(study=study, key=f"p{number}", text=f"Post *number* {number} <b>speaks</b>.")
        for number in range(1, n_posts + 1)
    )
    expert_set = ExpertSet.objects.create(
        study=study, name="Planted", threshold=THRESHOLD, n_experts=2, test_share=test_share, seed=seed
    )
    n_test = int(n_posts * test_share)
    items = ExpertItem.objects.bulk_create(
        ExpertItem(
            expert_set=expert_set,
            post=post,
            position=number,
            split="test" if number <= n_test else "development",
        )
        for number, post in enumerate(posts, start=1)
    )
    rng = np.random.default_rng(seed)
    truth = draw_truth(len(posts), study.value_keys, rng)
    ExpertLabel.objects.bulk_create(
        ExpertLabel(item=item, expert=expert, ratings=tuple(5.0 * row))
        for expert in ("ann", "ben")
        for item, row in zip(items, truth, strict=True)
    )
    return expert_set, truth


def draw_truth(n_posts, keys, rng):
    """1 where a post expresses a value; every fifth expresses none, and one in four of the others the source."""
    truth = np.zeros((n_posts, len(keys)))
    for place in np.flatnonzero(np.arange(n_posts) % 5):
        row = truth[place]
        row[rng.choice(len(keys), size=rng.integers(1, 3), replace=False)] = 1
        if rng.random() < 0.25:
            row[keys.index(SEEN)] = 1
    return truth


def make_planted_run(
    expert_set, truth, *, version=1, rate=0.7, overseen=0.0, asks_why=True, whys=True, seed=2, **fields
):
    """A finished run that reads as experts do, but gives `GIVEN` for `SEEN` at a rate, and `OVERSEEN` for nothing."""
    study = expert_set.study
    keys = list(study.value_keys)
    rng = np.random.default_rng(seed)
    said = truth.copy()
    noise = rng.random(said.shape) < 0.02
    said[noise] = 1 - said[noise]
    confused = (truth[:, keys.index(SEEN)] == 1) & (rng.random(len(truth)) < rate)
    said[confused, keys.index(GIVEN)] = 1
    said[(truth == 0).all(axis=1) & (rng.random(len(truth)) < overseen), keys.index(OVERSEEN)] = 1
    run = make_reading_run(expert_set, version=version, asks_why=asks_why, **fields)
    post_ids = expert_set.items.order_by("position").values_list("post", flat=True)
    ModelReading.objects.bulk_create(
        ModelReading(
            run=run,
            post_id=post_id,
            ratings=tuple(4.0 * row),
            detail={"why": f"Because of the words of post {post_id}."} if whys else {},
        )
        for post_id, row in zip(post_ids, said, strict=True)
    )
    return run


def make_reading_run(expert_set, *, version=1, asks_why=True, name="Reader", **fields):
    """A finished run by the model `small`, asked by this version of the prompt, without a reading yet."""
    study = expert_set.study
    design = replace(values_prompt(get_tree(study.value_system)), asks_why=asks_why)
    if version > 1:
        design = replace(design, closing=f"{design.closing} Version {version}.")
    prompt, _ = PromptVersion.objects.get_or_create(
        study=study,
        purpose="values",
        number=version,
        defaults={"content": design.to_dict(), "digest": design.digest()},
    )
    annotator = AnnotatorModel.objects.create(
        study=study,
        name=name,
        version=study.annotators.filter(name=name).count() + 1,
        kind=AnnotatorModel.Kind.ZERO_SHOT,
        prompt=prompt,
        provider="campus",
        model_name="small",
        digest="d" * 64,
    )
    return AnnotatorRun.objects.create(annotator=annotator, **{"state": AnnotatorRun.State.DONE} | fields)
