"""One valid row of each kind; a test spells out only what it is about.

The stored system is by default the one with ten values on a scale from 1 to 5, which differs from the
software's own in everything a system can differ in.
"""

import json
from functools import cache
from pathlib import Path

import factory

from annotation import services
from annotation.models import (
    Annotation,
    CompletionCode,
    Enrollment,
    Outcome,
    Post,
    Rater,
    Step,
    Study,
    ValueSystem,
)
from annotation.recruitment import Entry
from annotation.selectors import get_tree
from annotation.tree.nodes import ValueTree
from annotation.tree.walk import CHOSEN
from calibration.models import CalibrationQuestion, Questionnaire
from modeling.annotators.configs import create_annotator
from modeling.annotators.prompts import get_prompt
from modeling.annotators.runs import create_run
from modeling.models import AnnotatorModel, AnnotatorRun, PromptVersion

REPOSITORY = Path(__file__).resolve().parents[1]
STEPS = ("consent", "labeling", "vcq", "questionnaire")
CODES = {Outcome.COMPLETED: "DONE1111", Outcome.NO_CONSENT: "NOPE2222", Outcome.STUDY_FULL: "FULL3333"}
CONSENT = {
    "version": 3,
    "title": "Before you begin",
    "sections": [{"heading": "What you will do", "text": "You read posts."}],
    "agree": "Yes, I take part",
    "decline": "No, I do not",
}
OUTCOME_TEXTS = {
    "completed": {"title": "You are done", "text": "Thank you."},
    "no_consent": {"title": "You chose not to take part", "text": "That is fine."},
    "study_full": {"title": "All places are taken", "text": "Thank you for coming."},
}


@cache
def load_ten() -> ValueTree:
    """The system with 10 values, three levels of groups on one side, and a scale from 1 to 5."""
    return _load_tree(REPOSITORY / "tests/data/ten_values.json")


@cache
def load_nineteen() -> ValueTree:
    """The system that ships: 19 values on a scale from 0 to 6, shown as 1 to 7."""
    return _load_tree(REPOSITORY / "annotation/content/schwartz_19.json")


def _load_tree(path: Path) -> ValueTree:
    return ValueTree.from_dict(json.loads(path.read_text(encoding="utf-8")))


@cache
def load_demographics() -> dict:
    path = REPOSITORY / "calibration/content/demographics.json"
    return json.loads(path.read_text(encoding="utf-8"))


class ValueSystemFactory(factory.django.DjangoModelFactory):
    """`ValueSystemFactory(tree=load_nineteen())` stores another system than the ten values."""

    class Meta:
        model = ValueSystem

    tree = factory.LazyFunction(load_ten)

    @classmethod
    def _create(cls, model_class, *args, tree, **kwargs):
        return services.save_value_system(tree)


class StepFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Step

    study = factory.SubFactory("tests.factories.StudyFactory", steps=())
    position = factory.Sequence(lambda n: n + 1)
    kind = "labeling"


class PostFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Post

    study = factory.SubFactory("tests.factories.StudyFactory", posts=0)
    key = factory.Sequence(lambda n: f"post-{n}")
    text = factory.LazyAttribute(lambda post: f"The words of {post.key}.")


class CompletionCodeFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = CompletionCode

    study = factory.SubFactory("tests.factories.StudyFactory", codes={})
    outcome = Outcome.COMPLETED
    code = "DONE1111"


class CalibrationQuestionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = CalibrationQuestion

    study = factory.SubFactory("tests.factories.StudyFactory", questions=0)
    position = factory.Sequence(lambda n: n + 1)
    post = factory.SubFactory(
        PostFactory, study=factory.SelfAttribute("..study"), purpose=Post.Purpose.CALIBRATION
    )
    value_key = factory.LazyAttributeSequence(lambda o, n: o.study.value_keys[n % len(o.study.value_keys)])


class QuestionnaireFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Questionnaire

    study = factory.SubFactory("tests.factories.StudyFactory", steps=())
    key = "demographics"
    definition = factory.LazyFunction(load_demographics)


class StudyFactory(factory.django.DjangoModelFactory):
    """A live study, ready to be walked: `posts` and `questions` are numbers, `steps` kinds in order."""

    class Meta:
        model = Study
        skip_postgeneration_save = True

    slug = factory.Sequence(lambda n: f"study-{n}")
    name = "A study for the tests"
    title = "What do you see in these posts?"
    welcome = "Thank you for coming."
    state = Study.State.LIVE
    value_system = factory.SubFactory(ValueSystemFactory)
    posts_per_rater = 2
    strategy = Study.Strategy.BALANCED
    consent = factory.LazyFunction(lambda: dict(CONSENT))
    outcome_texts = factory.LazyFunction(lambda: dict(OUTCOME_TEXTS))

    @factory.post_generation
    def steps(study, create, kinds, **kwargs):  # noqa: N805 - factory_boy hands over the study
        for position, kind in enumerate(STEPS if kinds is None else kinds, start=1):
            config = {"questionnaire": "demographics"} if kind == "questionnaire" else {}
            StepFactory(study=study, position=position, kind=kind, config=config)
            if kind == "questionnaire":
                QuestionnaireFactory(study=study)

    @factory.post_generation
    def posts(study, create, number, **kwargs):  # noqa: N805
        for each in range(1, (3 if number is None else number) + 1):
            PostFactory(study=study, key=f"p{each}")

    @factory.post_generation
    def codes(study, create, codes, **kwargs):  # noqa: N805
        for outcome, code in (CODES if codes is None else codes).items():
            CompletionCodeFactory(study=study, outcome=outcome, code=code)

    @factory.post_generation
    def questions(study, create, number, **kwargs):  # noqa: N805
        for position in range(1, (2 if number is None else number) + 1):
            CalibrationQuestionFactory(
                study=study,
                position=position,
                post__key=f"c{position}",
                value_key=study.value_keys[-position % len(study.value_keys)],
            )


class RaterFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Rater

    origin = Rater.Origin.PROLIFIC
    external_id = factory.Sequence(lambda n: f"rater-{n:05d}")


class EnrollmentFactory(factory.django.DjangoModelFactory):
    """Someone who has just come in: they stand on the study's first step."""

    class Meta:
        model = Enrollment

    study = factory.SubFactory(StudyFactory)
    rater = factory.SubFactory(RaterFactory)

    @classmethod
    def _create(cls, model_class, *args, study, rater, **kwargs):
        entry = Entry(rater.external_id, "prolific-study", "prolific-session", rater.origin)
        return services.enroll(study, entry)


class AnnotationFactory(factory.django.DjangoModelFactory):
    """A reading as an import stores it, without an assignment: by default every value was rated lowest."""

    class Meta:
        model = Annotation

    enrollment = factory.SubFactory(EnrollmentFactory)
    post = factory.SubFactory(PostFactory, study=factory.SelfAttribute("..enrollment.study"))
    ratings = factory.LazyAttribute(
        lambda o: (o.enrollment.study.value_system.scale_min,) * len(o.enrollment.study.value_keys)
    )
    codes = factory.LazyAttribute(lambda o: (CHOSEN,) * len(o.ratings))
    opened = factory.LazyAttribute(
        lambda o: [branch.key for branch in get_tree(o.enrollment.study.value_system).branches]
    )


class PromptVersionFactory(factory.django.DjangoModelFactory):
    """The prompt about values that ships, for the study's value system."""

    class Meta:
        model = PromptVersion

    study = factory.SubFactory(StudyFactory)
    purpose = PromptVersion.Purpose.VALUES

    @classmethod
    def _create(cls, model_class, *args, study, purpose):
        return get_prompt(study, purpose)


class AnnotatorModelFactory(factory.django.DjangoModelFactory):
    """A zero-shot model at the provider 'standin', which a test must name in its settings."""

    class Meta:
        model = AnnotatorModel

    study = factory.SubFactory(StudyFactory)
    name = factory.Sequence(lambda n: f"reader {n}")
    kind = AnnotatorModel.Kind.ZERO_SHOT
    prompt = factory.SubFactory(PromptVersionFactory, study=factory.SelfAttribute("..study"))
    provider = "standin"
    model_name = "plain-reader"

    @classmethod
    def _create(cls, model_class, *args, **fields):
        return create_annotator(**fields)


class AnnotatorRunFactory(factory.django.DjangoModelFactory):
    """A run over all posts of the annotator model's study, not started yet."""

    class Meta:
        model = AnnotatorRun

    annotator = factory.SubFactory(AnnotatorModelFactory)

    @classmethod
    def _create(cls, model_class, *args, **fields):
        return create_run(**fields)
