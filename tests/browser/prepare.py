"""Fill an empty installation with a study that is short to walk: `python -m tests.browser.prepare PASSWORD`.

Runs in a process of its own, on the database and folder that its environment names.
"""

import sys

import django
from django.core.management import call_command

POSTS_PER_RATER = 3
N_QUESTIONS = 3
N_POSTS_FOR_REPORT = 12
N_SIMULATED = 12
N_POSTS_FOR_EXPERTS = 10
KEPT = ("consent", "labeling", "vcq", "questionnaire")


def prepare(password: str) -> None:
    """Store the demonstration whole and short, the short one with a model; a closed study; an administrator."""
    from django.contrib.auth import get_user_model

    from annotation.models import Study
    from jobs.models import Job
    from modeling.demo import load_demo_study
    from modeling.reporting.requests import AGREEMENT

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    get_user_model().objects.create_superuser("admin", password=password)
    load_demo_study()
    Study.objects.update(slug="whole", posts_per_rater=1)
    study, _ = load_demo_study()
    shorten(study)
    Study.objects.create(
        slug="closed", name="A closed study", title="Closed", value_system=study.value_system
    )
    study.calibration_questions.filter(position__gt=N_QUESTIONS).delete()
    # Everyone reads the same posts, so that two people who answer alike leave the same rows.
    study.strategy, study.posts_per_rater = Study.Strategy.FIXED, N_POSTS_FOR_REPORT
    study.save()
    call_command("simulate", study.slug, raters=N_SIMULATED, direct=True)
    call_command("fit", study.slug, n_trees=10)
    Job.objects.filter(kind=AGREEMENT).delete()  # a test asks for the figures of agreement on their page
    study.posts_per_rater = POSTS_PER_RATER
    study.save()
    ask_models(study)


def ask_models(study) -> None:
    """Curate invented feeds through the stand-in, check a classifier, preview a model and teach a local one."""
    from django.test import override_settings

    from config.llm_providers import STANDIN, Provider
    from jobs.services import run_here
    from modeling import demo_annotators as demo
    from modeling.annotators.runs import create_run, start_run
    from modeling.annotators.selecting import first_posts
    from modeling.checking.services import create_check
    from modeling.standin.server import StandIn
    from modeling.tuning.services import find_job, train_encoder
    from modeling.tuning.settings import SetSettings

    with StandIn() as standin:
        provider = Provider(STANDIN, standin.url, "NO_KEY", 0, 0, is_standin=True)
        with override_settings(LLM_PROVIDERS={STANDIN: provider}):
            run_here(demo.load_feeds(study))
            run_here(demo.curate(study))
            annotator = study.annotators.get(name__endswith="value screening")
            run_here(start_run(create_run(annotator, selection=first_posts(study, 5), is_preview=True)))
            ask_experts(study)
    create_check(study.curations.get(), purpose="comprehensibility", threshold=3, n_each=3)
    taught = SetSettings(more_raters_than=3, n_drawn=6, n_kept=5)
    run_here(find_job(train_encoder(study, taught, name="Local reader")))


def ask_experts(study) -> None:
    """Have invented experts label posts, and hold against them all that the demonstration does."""
    from jobs.services import run_here
    from modeling import demo_annotators, demo_experts

    demo_experts.N_POSTS = N_POSTS_FOR_EXPERTS
    for ask in (
        demo_annotators.read_zero_shot,
        demo_annotators.read_few_shot,
        demo_experts.label_posts,
        demo_experts.read_with_next_prompt,
        demo_experts.calibrate,
        demo_experts.find_errors,
        demo_experts.place_values,
        demo_experts.verify,
        demo_experts.mix_labels,
        demo_experts.teach_by_labels,
    ):
        if job := ask(study):
            assert run_here(job).state == job.State.DONE, job.error


def shorten(study) -> None:
    """Leave what the paper calls the task: consent, labeling, VCQ and the questions about the rater."""
    study.steps.exclude(kind__in=KEPT).delete()
    study.steps.filter(config={"questionnaire": "values_19"}).delete()
    for position, step in enumerate(study.steps.order_by("position"), start=1):
        step.position = position
        step.save()


if __name__ == "__main__":
    django.setup()
    prepare(sys.argv[1])
