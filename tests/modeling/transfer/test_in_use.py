"""An encoder that reads out of fold where annotator models are used: configurations, fits, comparisons."""

import numpy as np
import pytest

from modeling.annotators.configs import AnnotatorRefused, create_annotator
from modeling.annotators.encoding import round_shares
from modeling.inclusion import DEFAULT
from modeling.matrices import load_table
from modeling.reporting.comparing import compute_comparison
from modeling.tuning import encoder
from modeling.tuning.given import load_given
from tests.modeling.rated import FEW
from tests.modeling.tuning.taught import make_encoder, make_run, make_well_rated_study, say_means
from tests.modeling.tuning.test_fits import fit_with

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


@pytest.fixture
def study():
    return make_well_rated_study(n_posts=24)


def teach_all(study, **options):
    return make_encoder(study, trained_on=load_table(study).post_ids, **options)


class Rounding:
    """Says that the highest rating is certain, with a sum that rounding has put a little above 1."""

    def predict(self, texts):
        shares = np.zeros((len(texts), 3, 7), dtype=np.float32)
        shares[..., 5], shares[..., 6] = 3e-7, 1
        return shares


def test_no_rating_is_off_the_scale_by_what_rounding_adds(study, monkeypatch):
    monkeypatch.setattr(encoder, "_open", lambda name, digest: Rounding())
    ratings, shares = encoder.read_distributions(make_encoder(study), ["a post"])
    assert ratings.tolist() == [[6.0] * 3] and shares.shape == (1, 3, 7)


def test_a_fit_starts_from_it_and_judges_on_held_out_posts_that_it_was_taught(study):
    run = make_run(study, say_means(study), annotator=teach_all(study, reads_out_of_fold=True))
    fit_run = fit_with(study, run)
    assert fit_run.consensus_name == "annotator: Reader v1"
    assert fit_run.holdout_post_ids and set(fit_run.holdout_post_ids) <= set(run.annotator.trained_on)
    given = load_given(run, load_table(study).post_ids)
    assert not given.taught.any()
    assert "was taught 24 of these posts and reads each of them out of fold" in " ".join(given.notes)


def test_a_model_taught_the_same_posts_that_does_not_is_refused(study):
    from jobs.services import run_here
    from modeling.services import request_fit

    run = make_run(study, say_means(study), annotator=teach_all(study))
    job = run_here(request_fit(study, FEW, annotator_run=run))
    assert job.state == "failed" and "was itself taught by the raters" in job.error


def test_a_comparison_counts_it_as_not_taught(study):
    out_of_fold = teach_all(study, reads_out_of_fold=True)
    other = teach_all(study, name="Other")
    for annotator in (out_of_fold, other):
        make_run(study, say_means(study), annotator=annotator)
    _, measures = compute_comparison(study, DEFAULT, lambda *progress: None)
    usable = {model["label"]: model["n_usable"] for model in measures["models"]}
    assert usable == {str(out_of_fold): 24, str(other): 0}


def test_only_such_a_model_has_another_hash_than_before(study):
    plain = make_encoder(study)
    assert make_encoder(study).pk == plain.pk
    assert make_encoder(study, reads_out_of_fold=False).pk == plain.pk
    changed = make_encoder(study, reads_out_of_fold=True)
    assert (changed.version, changed.digest != plain.digest) == (2, True)
    # of a model as it was stored before there were such ones
    assert plain.digest == "bd66367d951d3eff243df92d12043c150c6acf9905443b45f891ce67d47d0ae3"


def test_a_model_at_a_provider_cannot_read_out_of_fold(study):
    with pytest.raises(AnnotatorRefused) as refused:
        create_annotator(study, name="LLM", kind="zero_shot", provider="nobody", reads_out_of_fold=True)
    assert "reads_out_of_fold" in refused.value.faults


def test_stored_shares_sum_to_one_and_shares_of_nothing_are_short():
    shares = np.array([[1 / 3, 1 / 3, 1 / 3, 0.0], [0.99999, 0.00001, 0.0, 0.0]])
    stored = round_shares(shares)
    assert stored[1] == [1.0, 0, 0, 0]
    assert all(sum(row) == pytest.approx(1, abs=1e-12) for row in stored)
    assert max(stored[0]) == 0.3334 and isinstance(stored[0][3], int)
