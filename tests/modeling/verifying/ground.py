"""What tests of verification stand on: runs that read a study's posts, a set that experts labeled, rules."""

from django.utils import timezone

from annotation.models import Post
from jobs.services import run_here
from modeling.experts import services as experts
from modeling.models import AnnotatorModel, AnnotatorRun, ModelReading
from modeling.verifying import services
from tests.factories import PostFactory, PromptVersionFactory, StudyFactory, ValueSystemFactory
from tests.modeling.checking.ground import make_person
from tests.modeling.rated import build_flat_tree

KEYS = ("order", "play", "care", "fame")
HIGH = {
    "key": "high",
    "title": "A high rating",
    "why": "It weighs most.",
    "values": "any",
    "when": {"rating": "each", "at_least": 5},
}
CARE = {
    "key": "care",
    "title": "Care without a word of it",
    "why": "It is easily imagined.",
    "values": ["care"],
    "when": {"all": [{"expressed": "care"}, {"not": {"words": ["help"]}}]},
}
DIFFER = {
    "key": "differ",
    "title": "Models differ",
    "why": "One of them is wrong.",
    "values": "any",
    "when": {"models_differ": "each", "by": "presence"},
}
RULES = [HIGH, CARE, DIFFER]


def make_study(n_posts=4, **fields):
    return StudyFactory(
        posts=n_posts,
        questions=0,
        steps=(),
        value_system=ValueSystemFactory(tree=build_flat_tree(4)),
        **fields,
    )


def list_posts(study):
    return list(study.posts.filter(purpose=Post.Purpose.LABELING).order_by("pk"))


def make_run(study, *posts, name="reader", samples=1, state="done", why="", is_standin=False):
    """A run over the study's first posts: of each a list of ratings, or several of them, or None for a failure."""
    annotator = AnnotatorModel.objects.create(
        study=study,
        name=name,
        version=study.annotators.filter(name=name).count() + 1,
        kind=AnnotatorModel.Kind.ZERO_SHOT,
        prompt=PromptVersionFactory(study=study),
        provider="campus",
        model_name="small",
        digest="d" * 64,
        samples=samples,
        is_standin=is_standin,
    )
    run = AnnotatorRun.objects.create(
        annotator=annotator, state=state, selection={"posts": "study"}, finished_at=timezone.now()
    )
    for post, said in zip(list_posts(study), posts, strict=False):
        each = said if said and isinstance(said[0], list) else [said]
        ModelReading.objects.bulk_create(
            ModelReading(
                run=run,
                post=post,
                sample=sample,
                ratings=ratings,
                detail={"why": why},
                fault="" if ratings else "reply_not_json",
            )
            for sample, ratings in enumerate(each)
        )
    return run


def make_verification(study, run, *, rules=RULES, start=True, **fields):
    """Rules held against a run, with the queue made."""
    rule_set = services.save_rule_set(study, name="checks", rules=rules)
    made = services.create_verification(rule_set, run, **fields)
    if start:
        job = run_here(services.start_verification(made))
        assert job.state == "done", job.error
        made.refresh_from_db()
    return made


def label_set(study, *labels, threshold=2, test_share=0.0, name="experts", close=True):
    """A set over the study's first posts, labeled by one expert alike."""
    posts = list_posts(study)[: len(labels)]
    made = experts.create_set(
        study,
        name=name,
        threshold=threshold,
        n_experts=1,
        test_share=test_share,
        posts=[post.key for post in posts],
    )
    user = make_person(study, f"labeler of {name}")
    of_post = {post.pk: said for post, said in zip(posts, labels, strict=True)}
    for item in made.items.all():
        experts.store_label(item, expert_user=user, ratings=of_post[item.post_id])
    return experts.close_set(made) if close else made


def item_of(verification, post):
    return verification.items.get(post=post)


def decide(verification, user, post, verdict, ratings=None, note=""):
    return services.store_decision(item_of(verification, post), user, verdict, ratings, note)


__all__ = [
    "PostFactory",
    "decide",
    "item_of",
    "label_set",
    "make_person",
    "make_run",
    "make_study",
    "make_verification",
]
