"""Fits that were never computed, for what only has to belong to one."""

from annotation.models import Enrollment, Post, Rater
from modeling.models import FitRun
from tests.factories import StudyFactory, ValueSystemFactory

N_VALUES = 10


def make_fit(n_raters=3, n_posts=4, slug="one", system=None):
    """A fit of a study with raters and posts and nothing else."""
    system = system or ValueSystemFactory()
    study = StudyFactory(slug=slug, value_system=system, posts=0, questions=0, steps=("labeling",))
    Post.objects.bulk_create(Post(study=study, key=f"p{n}", text=f"Post {n}.") for n in range(n_posts))
    for number in range(n_raters):
        rater = Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id=f"{slug}-{number}")
        Enrollment.objects.create(study=study, rater=rater)
    return FitRun.objects.create(
        study=study,
        key=slug,
        settings={},
        holdout_post_ids=[],
        feature_names=[],
        notes=[],
        n_raters=n_raters,
        n_annotations=0,
        has_simulated=False,
    )
