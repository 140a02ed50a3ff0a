import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from annotation.models import Annotation, Enrollment, Rater
from annotation.versions import get_code_version
from jobs.models import Job
from jobs.services import run_here
from modeling import services
from modeling.artefacts import load_arrays
from modeling.errors import ArtefactDamaged, DataChanged, NotEnoughData
from modeling.estimators.data import FitSettings
from modeling.inclusion import describe
from modeling.matrices import load_table
from modeling.models import FitRun, PostScore, Prediction, Report
from modeling.predictions import read_predictions
from modeling.reporting import making
from modeling.reports.evaluation import CROWD_NOTE, Evaluation
from tests.modeling.rated import FEW, fit_here, make_rated_study
from tests.modeling.reports.test_evaluation import MEASURE, PEOPLE

pytestmark = [pytest.mark.django_db, pytest.mark.alike]

REPORT = PEOPLE | {
    *("study", "inclusion", "n_excluded", "n_raters", "n_posts", "n_annotations", "n_values", "n_simulated"),
    *("models", "personalized", "differences", "holdout", "mae_by_value", "mae_overall"),
    *("notes", "seed", "data_hash", "code_version", "schema", "study_name", "n_ratings", "scale", "values"),
    *(
        "correlation_by_value",
        "importance",
        "adjustment",
        "gain",
        "best",
        "seconds",
        "n_resamples",
        "ci_level",
        "inputs_hash",
    ),
    *(
        "consensus",
        "controls",
        "cold_start",
        "could_see",
        "coverage",
        "curves",
        "method",
        "rater_differences",
    ),
    *("verdict", "weights"),
}


MODELS = {"text_forest", "person", "permuted", "forest"}


@pytest.fixture
def study():
    return make_rated_study()


def change_a_rating():
    annotation = Annotation.objects.first()
    ratings = (6 - annotation.ratings[0], *annotation.ratings[1:3], (annotation.ratings[3] + 1) % 7)
    Annotation.objects.filter(pk=annotation.pk).update(ratings=ratings)


def test_a_fit_stores_all_it_takes_to_repeat_it(study):
    fit_run = fit_here(study)
    table = load_table(study)
    assert FitSettings(**fit_run.settings) == FEW
    assert fit_run.data_hash == table.data_hash
    assert (fit_run.n_raters, fit_run.n_annotations, fit_run.has_simulated) == (10, 80, False)
    assert fit_run.consensus_name == "text"
    assert fit_run.code_version == get_code_version()
    assert len(fit_run.feature_names) == 8
    arrays = load_arrays(fit_run.artefact, fit_run.artefact_sha256)
    held_out = {table.post_ids[table.posts[row]] for row in arrays["test_rows"]}
    assert held_out == set(fit_run.holdout_post_ids)
    assert tuple(arrays["enrollment_ids"]) == table.enrollment_ids
    scores = PostScore.objects.filter(fit_run=fit_run)
    assert scores.count() == 16
    assert set(scores.filter(is_out_of_fold=False).values_list("post_id", flat=True)) == held_out
    place = {pk: index for index, pk in enumerate(table.post_ids)}
    for score in scores:
        assert score.scores == pytest.approx(arrays["consensus_scores"][place[score.post_id]])


def test_what_was_predicted_of_held_out_ratings_is_stored_for_the_newest_fit_alone(study):
    fit_here(study)
    fit_run = fit_here(study, replace(FEW, seed=3))
    arrays = load_arrays(fit_run.artefact, fit_run.artefact_sha256)
    stored = read_predictions(fit_run)
    assert len(stored.ratings) == len(arrays["test_rows"]) == Prediction.objects.count()
    table = load_table(study)
    place = {
        (int(rater), int(post)): row
        for row, (rater, post) in enumerate(zip(stored.enrollment_ids, stored.post_ids, strict=True))
    }
    for row, predicted in zip(arrays["test_rows"], arrays["prediction_personalized"], strict=True):
        pair = table.enrollment_ids[table.raters[row]], table.post_ids[table.posts[row]]
        np.testing.assert_array_equal(stored.ratings[place[pair]], predicted)


def test_the_report_has_exactly_the_promised_keys_and_is_strict_json(study):
    measures = making.evaluate_fit(fit_here(study))
    json.dumps(measures, allow_nan=False)
    assert measures.keys() == REPORT
    assert measures["models"].keys() == {"text", *MODELS}
    assert measures["holdout"].keys() == PEOPLE | {"n_posts"}
    for people in (measures, measures["holdout"]):
        assert people["human_human"].keys() == people["human_consensus"].keys() == MEASURE
        assert [entry["size"] for entry in people["human_consensus_by_size"]] == [1, 2, 3, 4]
        for entry in people["human_consensus_by_size"]:
            assert entry.keys() == MEASURE | {"size"}
    for entry in [*measures["models"].values(), measures["personalized"]]:
        assert entry.keys() == MEASURE | {"mae"}
    for entry in [measures["human_human"], measures["personalized"], *measures["models"].values()]:
        low, high = entry["interval"]
        assert low <= entry["rho"] <= high
    assert [row["value"] for row in measures["mae_by_value"]] == study.value_keys
    for row in [*measures["mae_by_value"], measures["mae_overall"]]:
        for name in ("human_crowd", "human_crowd_se", "model_crowd", "model_crowd_se"):
            assert row[name] > 0
    assert (measures["study"], measures["inclusion"], measures["seed"]) == (study.slug, describe(), 1)
    assert (measures["n_raters"], measures["n_posts"], measures["n_annotations"]) == (10, 16, 80)
    assert measures["n_simulated"] == 0


def test_the_report_is_of_the_held_out_posts_and_their_stored_predictions(study):
    fit_run = fit_here(study)
    measures = making.evaluate_fit(fit_run)
    table = load_table(study)
    held_out = {table.post_ids.index(pk) for pk in fit_run.holdout_post_ids}
    rows = np.flatnonzero([post in held_out for post in table.posts])
    evaluation = Evaluation(table.ratings, table.posts, 16, table.value_keys, seed=1)
    assert measures["holdout"] == evaluation.describe_people(rows) | {"n_posts": len(held_out)}
    assert {name: measures[name] for name in PEOPLE} == evaluation.describe_people()
    arrays = load_arrays(fit_run.artefact, fit_run.artefact_sha256)
    predictions = {
        name.removeprefix("prediction_"): array.astype(float)
        for name, array in arrays.items()
        if name.startswith("prediction_")
    }
    assert {name: measures[name] for name in ("models", "personalized", "differences")} == (
        evaluation.describe_predictions(rows, predictions)
    )
    assert measures["personalized"]["posts"] <= len(held_out) < measures["human_human"]["posts"]


def test_the_notes_say_what_the_model_could_see_and_what_was_left_out(study):
    fit_run = fit_here(study)
    notes = making.evaluate_fit(fit_run)["notes"]
    assert notes[: len(fit_run.notes)] == fit_run.notes
    text = " ".join(notes)
    assert "questionnaire of 4 questions" in text
    assert "left out" in text
    assert CROWD_NOTE not in notes


def test_a_consensus_made_of_the_crowd_has_no_distance_from_it_and_a_note_says_so():
    measures = making.evaluate_fit(fit_here(make_rated_study(has_text=False, has_answers=False)))
    assert measures["models"].keys() == {"panel"} | {name.replace("text", "panel") for name in MODELS}
    for row in [*measures["mae_by_value"], measures["mae_overall"]]:
        assert row["model_crowd"] is row["model_crowd_se"] is None
        assert row["human_crowd"] > 0
    assert CROWD_NOTE in measures["notes"]
    text = " ".join(measures["notes"])
    assert "because the posts have no text" in text
    assert "mean residual per value" in text


def test_fitting_twice_is_one_job_one_fit_and_one_report(study):
    first, second = fit_here(study), fit_here(study)
    assert first == second
    assert FitRun.objects.count() == first.study.reports.filter(fit_run=first).count() == 1
    assert PostScore.objects.count() == 16
    kinds = Job.objects.filter(whole=None).values_list("kind", flat=True)
    assert sorted(kinds) == ["agreement", "card", "document", "evaluate", "fit"]


def test_a_fit_that_is_computed_twice_side_by_side_is_stored_once(study):
    computed = [services.compute_fit(study, FEW) for _ in range(2)]
    assert computed[0].digest == computed[1].digest
    assert computed[0].files == computed[1].files
    first, second = (services.store_fit(study, FEW, each) for each in computed)
    assert first == second
    assert first.files.count() == len(computed[0].files)
    assert PostScore.objects.count() == 16
    for _ in range(2):
        making.store_evaluation(first, {"data_hash": "", "code_version": ""}, [])
    assert Report.objects.filter(kind=Report.Kind.EVALUATION).count() == 1


def test_other_settings_or_other_data_are_another_fit(study):
    first = fit_here(study)
    second = fit_here(study, replace(FEW, seed=2))
    change_a_rating()
    third = fit_here(study)
    assert len({first.key, second.key, third.key}) == 3
    assert Report.objects.filter(fit_run__in=[first, second, third]).count() == 3


def test_the_same_data_in_another_study_is_another_fit(study):
    assert fit_here(study) != fit_here(make_rated_study())


def test_a_fit_uses_the_studys_own_seed_unless_told_otherwise(study):
    study.seed = 9
    study.save()
    assert services.request_fit(study).payload == {"study": study.pk, "settings": asdict(FitSettings(seed=9))}


def test_a_report_is_refused_once_the_ratings_have_changed(study):
    fit_run = fit_here(study)
    change_a_rating()
    with pytest.raises(
        DataChanged, match=f"ratings of study '{study.slug}' have changed since this fit; fit it again"
    ):
        making.evaluate_fit(fit_run)


def test_a_report_is_refused_when_the_file_was_tampered_with(study):
    fit_run = fit_here(study)
    storage = storages["artefacts"]
    with storage.open(fit_run.artefact) as file:
        raw = file.read()
    storage.delete(fit_run.artefact)
    storage.save(fit_run.artefact, ContentFile(raw + b"\0"))
    try:
        with pytest.raises(ArtefactDamaged, match="not the one this fit wrote"):
            making.evaluate_fit(fit_run)
    finally:
        storage.delete(fit_run.artefact)


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ({"n_posts": 3, "per_post": None}, "3 rated posts and 10 raters"),
        ({"n_raters": 1, "per_post": 1}, "16 rated posts and 1 raters"),
    ],
)
def test_too_small_a_study_is_not_even_queued(size, counts):
    with pytest.raises(NotEnoughData, match=counts):
        services.request_fit(make_rated_study(**size))
    assert not Job.objects.exists()


def test_people_who_have_not_finished_do_not_count(study):
    Enrollment.objects.update(outcome="", finished_at=None)
    with pytest.raises(NotEnoughData, match="0 rated posts and 0 raters"):
        services.request_fit(study)


def leave_out_fame(ratings):
    ratings[:, 3] = np.nan
    return ratings


def test_a_value_that_nobody_rated_is_named():
    study = make_rated_study(change=leave_out_fame)
    with pytest.raises(
        NotEnoughData, match=f"Study '{study.slug}' cannot be fitted: no post to fit to has a rating of fame"
    ):
        services.compute_fit(study, FEW)


@pytest.mark.parametrize("has_text", [True, False])
def test_one_value_has_errors_but_no_rank_correlation(has_text):
    measures = making.evaluate_fit(fit_here(make_rated_study(n_values=1, has_text=has_text)))
    json.dumps(measures, allow_nan=False)
    for entry in [measures["human_human"], measures["personalized"], *measures["models"].values()]:
        assert (entry["rho"], entry["interval"], entry["posts"]) == (None, [None, None], 0)
        assert entry["undefined"] == entry["compared"] > 0
    assert measures["personalized"]["mae"]["mae"] > 0
    assert measures["mae_by_value"][0]["human_crowd"] > 0


def test_two_raters_are_enough_for_a_report():
    measures = making.evaluate_fit(fit_here(make_rated_study(n_raters=2, per_post=2)))
    assert measures["human_human"]["rho"] is not None
    assert [entry["size"] for entry in measures["human_consensus_by_size"]] == [1]


def test_constant_ratings_make_a_report_of_undefined_figures():
    measures = making.evaluate_fit(fit_here(make_rated_study(change=lambda ratings: ratings * 0 + 2)))
    json.dumps(measures, allow_nan=False)
    assert measures["human_human"]["rho"] is measures["personalized"]["rho"] is None
    assert measures["human_human"]["undefined"] == 16 * 10
    assert measures["mae_overall"]["human_crowd"] == 0


def test_simulated_raters_stay_marked_in_the_fit_and_in_the_report():
    fit_run = fit_here(make_rated_study(origin=Rater.Origin.SIMULATED))
    assert fit_run.has_simulated
    assert making.evaluate_fit(fit_run)["n_simulated"] == 10


def test_a_fit_refused_by_its_data_fails_its_job_at_once_and_stores_nothing():
    job = run_here(services.request_fit(make_rated_study(change=leave_out_fame), FEW))
    assert (job.state, job.attempts) == (Job.State.FAILED, 1)
    assert "no post to fit to has a rating of fame" in job.error
    assert not FitRun.objects.exists()
