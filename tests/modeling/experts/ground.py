"""What tests of expert sets stand on: a set over a study's posts, people who label it, runs that read its posts."""

from annotation.models import Post
from modeling.annotators.selecting import study_posts
from modeling.experts import services
from modeling.models import AnnotatorModel, AnnotatorRun, ExpertItem, ModelReading, PromptVersion
from tests.factories import PromptVersionFactory, StudyFactory, ValueSystemFactory, load_nineteen
from tests.modeling.checking.ground import make_person

NONE = float("nan")


def make_set(n_posts=4, *, study=None, closed=False, **fields):
    """A set of all posts of a study with the 19 values, two experts for each, half of them for the test."""
    study = study or StudyFactory(
        posts=n_posts, questions=0, steps=(), value_system=ValueSystemFactory(tree=load_nineteen())
    )
    arguments = {"name": f"set {study.expert_sets.count() + 1}", "threshold": 3} | fields
    made = services.create_set(study, **arguments)
    return services.close_set(made) if closed else made


def rate(expert_set, **ratings):
    """A whole label: the lowest rating but for the values given by key."""
    lowest = expert_set.study.value_system.scale_min
    return [float(ratings.get(key, lowest)) for key in expert_set.study.value_keys]


def label(item, user, *, note="", **ratings):
    return services.store_label(item, expert_user=user, ratings=rate(item.expert_set, **ratings), note=note)


def make_experts(expert_set, *names):
    return [make_person(expert_set.study, name) for name in names or ("ann", "ben")]


def item_at(expert_set, position=1):
    return expert_set.items.get(position=position)


def items_of(expert_set, split):
    return list(expert_set.items.filter(split=split).order_by("position"))


def make_run(expert_set, *, family="main", name="reader", split=ExpertItem.Split.TEST, **fields):
    """A finished run that read every post of a split and found nothing in any."""
    study = expert_set.study
    prompt = PromptVersionFactory(study=study)
    if prompt.family != family:
        prompt = PromptVersion.objects.create(
            study=study,
            purpose=prompt.purpose,
            number=prompt.number + 1,
            family=family,
            content=prompt.content,
            digest=prompt.digest,
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
    run = AnnotatorRun.objects.create(
        annotator=annotator, selection=study_posts(study), **{"state": AnnotatorRun.State.DONE} | fields
    )
    posts = Post.objects.filter(expert_items__expert_set=expert_set, expert_items__split=split)
    ModelReading.objects.bulk_create(
        ModelReading(run=run, post=post, ratings=(0.0,) * len(study.value_keys), detail={}) for post in posts
    )
    return run
