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


def prepare(password: str) -> None:
    """Store the demonstration study with a report, a closed study without one, and an administrator."""
    from django.contrib.auth import get_user_model

    from annotation.models import Study
    from modeling.demo import load_demo_study

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    get_user_model().objects.create_superuser("admin", password=password)
    study, _ = load_demo_study()
    Study.objects.create(
        slug="closed", name="A closed study", title="Closed", value_system=study.value_system
    )
    study.calibration_questions.filter(position__gt=N_QUESTIONS).delete()
    # Everyone reads the same posts, so that two people who answer alike leave the same rows.
    study.strategy, study.posts_per_rater = Study.Strategy.FIXED, N_POSTS_FOR_REPORT
    study.save()
    call_command("simulate", study.slug, raters=N_SIMULATED, direct=True)
    call_command("fit", study.slug, n_trees=10)
    study.posts_per_rater = POSTS_PER_RATER
    study.save()


if __name__ == "__main__":
    django.setup()
    prepare(sys.argv[1])
