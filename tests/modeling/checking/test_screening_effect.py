"""The screening effect of the published study's Table A2, for posts that came out of a curation."""

import numpy as np
import pytest
from django.utils import timezone
from scipy.stats import ttest_ind

from annotation.models import Annotation, Enrollment, Outcome
from annotation.tree.walk import CHOSEN
from modeling.curation.loading import load_sample
from modeling.inclusion import InclusionRule
from modeling.models import Curation, CurationDraw, FeedPost
from modeling.reporting.making import compute_agreement
from modeling.reports.agreement_tables import tabulate_agreement_report
from modeling.reports.names import SAYS_STANDIN
from tests.factories import RaterFactory, StudyFactory, ValueSystemFactory
from tests.modeling.rated import build_flat_tree

pytestmark = pytest.mark.django_db
N_POSTS, N_RATERS = 12, 3


@pytest.fixture
def study():
    return StudyFactory(
        value_system=ValueSystemFactory(tree=build_flat_tree(4)),
        posts=0,
        questions=0,
        steps=("labeling",),
        state="draft",
    )


@pytest.mark.parametrize("is_standin", [False, True])
def test_posts_of_a_curation_give_the_screening_effect_by_their_screened_ratings(study, is_standin):
    rng = np.random.default_rng(3)
    screening = rng.integers(0, 7, (N_POSTS, 4)).astype(float)
    screening[:, 0] = [5] * 6 + [3.5] * 6  # 4 and more is in
    curation = Curation.objects.create(study=study, name="spring", state="sampled", is_standin=is_standin)
    for number, scores in enumerate(screening):
        post = FeedPost.objects.create(
            curation=curation, key=f"k{number}", text=f"Words {number}.", screening=tuple(scores)
        )
        CurationDraw.objects.create(
            curation=curation,
            number=number + 1,
            owner="o",
            value_key=study.value_keys[0],
            source="following",
            feed_post=post,
        )
    assert load_sample(curation).n_added == N_POSTS
    ratings = rng.integers(0, 7, (N_POSTS, N_RATERS, 4))
    ratings[:6, :, 0] = np.maximum(ratings[:6, :, 0], 3)
    posts = {post.key: post for post in study.posts.all()}
    for rater in range(N_RATERS):
        enrollment = Enrollment.objects.create(
            study=study, rater=RaterFactory(), outcome=Outcome.COMPLETED, finished_at=timezone.now()
        )
        Annotation.objects.bulk_create(
            Annotation(
                enrollment=enrollment,
                post=posts[f"k{number}"],
                ratings=tuple(int(rating) for rating in ratings[number, rater]),
                codes=(CHOSEN,) * 4,
            )
            for number in range(N_POSTS)
        )
    _, measures = compute_agreement(study, InclusionRule(), lambda done, total, note: None)
    table = tabulate_agreement_report(measures)["screening_effect"]
    (row,) = [row for row in table.rows if row[0] == "Order"]
    found = dict(zip([column.key for column in table.columns], row, strict=True))
    means = ratings[:, :, 0].mean(axis=1)
    welch = ttest_ind(means[:6], means[6:], equal_var=False)
    assert (found["n_in"], found["n_out"]) == (6, 6)
    assert found["difference"] == pytest.approx(means[:6].mean() - means[6:].mean())
    assert (found["t"], found["p"]) == (pytest.approx(welch.statistic), pytest.approx(welch.pvalue))
    assert (SAYS_STANDIN in table.caption) is is_standin
