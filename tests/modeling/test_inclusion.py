from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.models import Enrollment, Exclusion, Outcome, Rater
from jobs.services import run_here
from modeling.exclusions import exclude
from modeling.inclusion import DEFAULT, InclusionRule, Raters, count_excluded, describe, select
from modeling.matrices import load_table
from modeling.models import QualityFlag
from modeling.reporting.making import evaluate_fit
from modeling.selectors import count_study
from modeling.services import request_fit
from tests.modeling.rated import FEW, fit_here, make_rated_study

pytestmark = pytest.mark.django_db
SMALL = {"n_posts": 6, "n_raters": 5, "per_post": 3}


@pytest.fixture
def study():
    return make_rated_study(**SMALL)


def people(study, rule=DEFAULT):
    return set(select(study, rule).values_list("pk", flat=True))


def change(study, **values):
    """Change the study's first enrollment; return its number."""
    enrollment = study.enrollments.order_by("pk").first()
    Enrollment.objects.filter(pk=enrollment.pk).update(**values)
    return enrollment.pk


def test_everyone_who_completed_the_live_study_counts(study):
    assert people(study) == set(study.enrollments.values_list("pk", flat=True))


@pytest.mark.parametrize("outcome", [each for each in Outcome if each != Outcome.COMPLETED])
def test_no_other_end_counts(study, outcome):
    assert change(study, outcome=outcome) not in people(study)


def test_a_rehearsal_never_counts(study):
    rehearsed = change(study, phase=Enrollment.Phase.REHEARSAL)
    for rule in (DEFAULT, InclusionRule(with_pilot=True), InclusionRule(raters=Raters.PEOPLE)):
        assert rehearsed not in people(study, rule)


def test_a_test_participant_never_counts(study):
    rater = Rater.objects.create(origin=Rater.Origin.TEST, external_id="test-1")
    assert change(study, rater=rater) not in people(study)


def test_the_pilot_counts_when_asked_for(study):
    pilot = change(study, phase=Enrollment.Phase.PILOT)
    assert pilot not in people(study)
    assert pilot in people(study, InclusionRule(with_pilot=True))


def test_who_ran_out_of_time_and_finished_counts_unless_left_out(study):
    late = change(study, timed_out_at=timezone.now())
    assert late in people(study)
    assert late not in people(study, InclusionRule(with_timed_out=False))


def test_the_excluded_never_count(study):
    enrollment = study.enrollments.first()
    exclude(enrollment, reason="Told us so.")
    for rule in (DEFAULT, InclusionRule(with_pilot=True)):
        assert enrollment.pk not in people(study, rule)
        assert count_excluded(study, rule) == 1


def test_flags_leave_out_only_where_they_are_named(study):
    enrollment = study.enrollments.first()
    QualityFlag.objects.create(enrollment=enrollment, rule="fast_posts", number=-4, limit=-3)
    assert enrollment.pk in people(study)
    assert enrollment.pk in people(study, InclusionRule(without_flags=("never_opens",)))
    assert enrollment.pk not in people(study, InclusionRule(without_flags=("fast_posts", "never_opens")))


def test_simulated_raters_and_people_can_be_told_apart(study):
    rater = Rater.objects.create(origin=Rater.Origin.SIMULATED, external_id="simulated-1")
    simulated = change(study, rater=rater)
    assert people(study, InclusionRule(raters=Raters.SIMULATED)) == {simulated}
    assert people(study, InclusionRule(raters="people")) == people(study) - {simulated}


def test_a_rule_survives_its_way_through_json():
    rule = InclusionRule(with_pilot=True, without_flags=("never_opens", "fast_posts"), raters=Raters.PEOPLE)
    assert InclusionRule.from_dict(rule.as_dict()) == rule
    assert rule.without_flags == ("fast_posts", "never_opens")
    assert InclusionRule.from_dict(None) == InclusionRule.from_dict({}) == DEFAULT


def test_a_rule_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no quality rule 'sleepy'"):
        InclusionRule(without_flags=("sleepy",))
    with pytest.raises(ValueError, match="raters must be one of all, people, simulated"):
        InclusionRule(raters="robots")
    with pytest.raises(ValueError, match="no field 'with_plot'"):
        InclusionRule.from_dict({"with_plot": True})


def test_every_rule_is_said_in_its_own_words():
    assert describe() == "everyone who completed the live study and is not excluded"
    rules = [
        DEFAULT,
        InclusionRule(with_pilot=True),
        InclusionRule(with_timed_out=False),
        InclusionRule(without_flags=("never_opens",)),
        InclusionRule(raters=Raters.PEOPLE),
        InclusionRule(raters=Raters.SIMULATED),
    ]
    assert len({describe(rule) for rule in rules}) == len(rules)
    assert "“Never opens anything”" in describe(rules[3])


def test_a_table_holds_only_who_counts(study):
    whole = load_table(study)
    enrollment = study.enrollments.first()
    exclude(enrollment, reason="Told us so.")
    table = load_table(study)
    assert set(whole.enrollment_ids) - set(table.enrollment_ids) == {enrollment.pk}
    assert len(table.answers) == 4
    assert table.data_hash != whole.data_hash


def test_the_counts_of_a_study(study):
    change(study, phase=Enrollment.Phase.REHEARSAL)
    exclude(study.enrollments.order_by("pk")[1], reason="Told us so.")
    Enrollment.objects.filter(pk=study.enrollments.order_by("pk")[2].pk).update(phase=Enrollment.Phase.PILOT)
    counts = count_study(study)
    assert (counts["enrolled"], counts["completed"], counts["included"], counts["excluded"]) == (4, 4, 2, 1)


class TestFits:
    @pytest.fixture
    def study(self):
        return make_rated_study()

    def test_the_rule_is_part_of_a_fits_settings_and_key(self, study):
        pilot = InclusionRule(with_pilot=True)
        usual = fit_here(study)
        job = run_here(request_fit(study, FEW, pilot))
        other = study.fit_runs.get(pk=job.result["fit_run"])
        assert usual.key != other.key
        assert usual.data_hash == other.data_hash  # nobody took part in a pilot
        assert other.settings["inclusion"] == pilot.as_dict()
        assert "inclusion" not in usual.settings
        assert evaluate_fit(other)["inclusion"] == describe(pilot)

    def test_a_fit_sees_who_counts_and_its_report_says_how_many_are_excluded(self, study):
        exclude(study.enrollments.first(), reason="Told us so.")
        measures = evaluate_fit(fit_here(study))
        assert (measures["n_raters"], measures["n_excluded"]) == (9, 1)

    def test_a_fit_without_the_flagged_is_evaluated_without_them(self, study):
        QualityFlag.objects.create(
            enrollment=study.enrollments.first(), rule="never_opens", number=1, limit=1
        )
        rule = InclusionRule(without_flags=("never_opens",))
        job = run_here(request_fit(study, FEW, rule))
        fit_run = study.fit_runs.get(pk=job.result["fit_run"])
        assert evaluate_fit(fit_run)["n_raters"] == fit_run.n_raters == 9

    def test_the_command_takes_the_rule(self, study, capsys):
        change(study, phase=Enrollment.Phase.PILOT)
        options = ["--n-trees", "5", "--n-consensus-folds", "3", "--n-calibration-cells", "3"]
        call_command("fit", study.slug, *options, "--with-pilot", "--raters", "people")
        fit_run = study.fit_runs.get()
        assert fit_run.n_raters == 10
        assert InclusionRule.from_dict(fit_run.settings["inclusion"]) == replace(
            DEFAULT, with_pilot=True, raters=Raters.PEOPLE
        )
        with pytest.raises(CommandError, match="no quality rule 'x'"):
            call_command("fit", study.slug, "--without-flags", "x")


def test_an_exclusion_is_a_row_and_the_answers_stay(study):
    enrollment = study.enrollments.first()
    n_annotations = enrollment.annotations.count()
    exclude(enrollment, reason="Told us so.")
    assert Exclusion.objects.get().enrollment == enrollment
    assert enrollment.annotations.count() == n_annotations
