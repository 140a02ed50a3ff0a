import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import RestrictedError

from annotation.models import (
    Assignment,
    Draft,
    Enrollment,
    GateDecision,
    Outcome,
    Post,
    Rater,
    Study,
    ValueNode,
    ValueSystem,
)
from annotation.selectors import get_tree
from annotation.services import save_value_system
from tests.factories import (
    AnnotationFactory,
    CompletionCodeFactory,
    EnrollmentFactory,
    PostFactory,
    RaterFactory,
    StepFactory,
    StudyFactory,
    ValueSystemFactory,
    load_nineteen,
    load_ten,
)

pytestmark = pytest.mark.django_db


def refuses(make):
    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def test_a_study_freezes_the_order_of_the_values_when_it_is_made():
    study = StudyFactory()
    assert tuple(study.value_keys) == load_ten().value_keys


def test_a_stored_system_is_read_back_as_the_tree_it_was_made_from():
    for tree in (load_ten(), load_nineteen()):
        assert get_tree(save_value_system(tree)) == tree


def test_the_origin_of_a_rater_cannot_change():
    rater = RaterFactory(origin=Rater.Origin.SIMULATED)
    rater.origin = Rater.Origin.PROLIFIC
    with pytest.raises(ValidationError, match="stays marked"):
        rater.save()
    with pytest.raises(ValidationError, match="stays marked"):
        rater.save(update_fields=["origin"])
    rater.refresh_from_db()
    assert rater.is_simulated


def test_the_origin_of_many_raters_at_once_cannot_change_either():
    rater = RaterFactory(origin=Rater.Origin.SIMULATED)
    with pytest.raises(ValidationError, match="stays marked"):
        Rater.objects.update(origin=Rater.Origin.PROLIFIC)
    rater.origin = Rater.Origin.PROLIFIC
    with pytest.raises(ValidationError, match="stays marked"), transaction.atomic():
        Rater.objects.bulk_update([rater], ["origin"])
    with pytest.raises(ValidationError, match="stays marked"), transaction.atomic():
        Rater.objects.update_or_create(pk=rater.pk, defaults={"origin": Rater.Origin.PROLIFIC})
    assert Rater.objects.get().is_simulated


def test_other_facts_of_a_rater_can_change():
    rater = RaterFactory(origin=Rater.Origin.SIMULATED)
    rater.external_id = "renamed"
    rater.save()
    Rater.objects.filter(pk=rater.pk).update(external_id="renamed-again")
    assert Rater.objects.get().external_id == "renamed-again"


def test_the_same_id_from_two_origins_is_two_raters_and_from_one_origin_one():
    RaterFactory(external_id="same")
    RaterFactory(external_id="same", origin=Rater.Origin.SIMULATED)
    refuses(lambda: Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id="same"))


def test_a_person_is_named_without_their_id():
    rater = RaterFactory(external_id="5f0c1d2e3b4a")
    assert "5f0c1d2e3b4a" not in f"{rater} {EnrollmentFactory(rater=rater)}"


def test_one_person_has_one_enrollment_in_a_study():
    enrollment = EnrollmentFactory()
    refuses(lambda: Enrollment.objects.create(study=enrollment.study, rater=enrollment.rater))


def test_an_enrollment_has_an_end_exactly_when_it_has_an_outcome():
    enrollment = EnrollmentFactory()
    refuses(lambda: Enrollment.objects.filter(pk=enrollment.pk).update(outcome=Outcome.COMPLETED))


def test_someone_holds_one_open_post_at_a_time():
    enrollment = EnrollmentFactory(study__steps=("labeling",))
    given = enrollment.assignments.get()
    other = {"enrollment": enrollment, "step": given.step, "post": PostFactory(study=enrollment.study)}
    refuses(lambda: Assignment.objects.create(**other, position=2))
    refuses(lambda: Assignment.objects.create(**other, position=1, status="released"))
    Assignment.objects.create(**other, position=2, status="released")


def test_someone_is_given_a_post_once():
    enrollment = EnrollmentFactory(study__steps=("labeling",))
    given = enrollment.assignments.get()
    again = {"enrollment": enrollment, "step": given.step, "post": given.post}
    refuses(lambda: Assignment.objects.create(**again, position=2, status="released"))


def test_a_gate_is_decided_once_and_a_page_has_one_draft():
    enrollment = EnrollmentFactory()
    step = enrollment.study.steps.first()
    GateDecision.objects.create(enrollment=enrollment, step=step, passed=True, reason="right")
    refuses(
        lambda: GateDecision.objects.create(enrollment=enrollment, step=step, passed=False, reason="wrong")
    )
    draft = {"enrollment": enrollment, "step": step, "fields": "", "page": "p", "number": 1}
    Draft.objects.create(**draft)
    refuses(lambda: Draft.objects.create(**draft, item="another"))


def test_someone_has_one_annotation_of_a_post():
    annotation = AnnotationFactory()
    refuses(lambda: AnnotationFactory(enrollment=annotation.enrollment, post=annotation.post))


def test_two_outcomes_of_a_study_never_share_a_code():
    study = StudyFactory()
    refuses(lambda: CompletionCodeFactory(study=study, outcome=Outcome.COMPLETED, code="OTHER999"))
    other = StudyFactory(codes={Outcome.COMPLETED: "DONE1111"})
    refuses(lambda: CompletionCodeFactory(study=other, outcome=Outcome.NO_CONSENT, code="DONE1111"))


def test_a_post_has_a_context_exactly_when_it_says_which_kind():
    refuses(lambda: PostFactory(context_text="The other post."))
    refuses(lambda: PostFactory(context_kind=Post.ContextKind.REPLY))
    PostFactory(context_kind=Post.ContextKind.QUOTE, context_text="The other post.")


def test_two_steps_of_a_study_never_share_a_position():
    study = StudyFactory()
    refuses(lambda: StepFactory(study=study, position=1))


def test_a_scale_has_two_ends():
    refuses(lambda: ValueSystem.objects.create(slug="flat", name="Flat", scale_min=3, scale_max=3))


class TestAValueSystemWhoseStudyPeopleHaveEntered:
    @pytest.fixture
    def system(self):
        return EnrollmentFactory().study.value_system

    def test_keeps_its_scale(self, system):
        system.scale_max = 9
        with pytest.raises(ValidationError, match="scale's ends cannot change"):
            system.clean()

    def test_takes_new_wording(self, system):
        system.low_label = "Nothing of it"
        system.clean()
        node = system.nodes.get(key="power")
        node.label = "Might"
        node.clean()

    @pytest.mark.parametrize(
        "change", [{"position": 9}, {"key": "might"}, {"is_leaf": False, "question": "?"}]
    )
    def test_keeps_its_nodes_where_they_are(self, system, change):
        node = system.nodes.get(key="power")
        for name, value in change.items():
            setattr(node, name, value)
        with pytest.raises(ValidationError, match="no node can be added, moved or renamed"):
            node.clean()

    def test_takes_no_new_node(self, system):
        parent = system.nodes.get(key="social_focus")
        with pytest.raises(ValidationError, match="no node can be added"):
            ValueNode(system=system, parent=parent, position=9, key="new", label="New").clean()


def test_nodes_of_a_system_nobody_has_answered_on_are_free():
    node = ValueSystemFactory().nodes.get(key="power")
    node.key = "might"
    node.clean()


def test_a_node_must_stand_under_a_group_of_its_own_system_and_a_group_needs_a_question():
    ten, nineteen = ValueSystemFactory(), ValueSystemFactory(tree=load_nineteen())
    value, group = ten.nodes.get(key="power"), ten.nodes.get(key="social_focus")
    with pytest.raises(ValidationError, match="only a group can have children"):
        ValueNode(system=ten, parent=value, key="x", label="X", position=1).clean()
    with pytest.raises(ValidationError, match="another value system"):
        ValueNode(system=nineteen, parent=group, key="x", label="X", position=9).clean()
    with pytest.raises(ValidationError, match="needs the question"):
        ValueNode(system=ten, parent=group, key="x", label="X", position=9, is_leaf=False).clean()


def test_new_wording_of_a_node_reaches_the_next_page():
    system = ValueSystemFactory()
    assert get_tree(system).leaf("power").label == "Power"
    node = system.nodes.get(key="power")
    node.label = "Might"
    node.save()
    assert get_tree(ValueSystem.objects.get()).leaf("power").label == "Might"


def test_new_wording_of_the_scale_reaches_the_next_page():
    system = ValueSystemFactory()
    assert get_tree(system).scale.low == "Not at all"
    system.low_label = "Nothing of it"
    system.save()
    assert get_tree(ValueSystem.objects.get()).scale.low == "Nothing of it"


def test_a_tree_that_was_rolled_back_is_not_remembered():
    system = ValueSystemFactory()

    def rename(label):
        node = system.nodes.get(key="power")
        node.label = label
        node.save()
        return get_tree(ValueSystem.objects.get()).leaf("power").label

    with pytest.raises(RuntimeError), transaction.atomic():
        assert rename("Never stored") == "Never stored"
        raise RuntimeError
    assert rename("Might") == "Might"


def test_things_are_named_for_the_people_who_run_a_study():
    study = StudyFactory(slug="spring")
    assert str(study.steps.first()) == "1. consent"
    assert str(study.posts.get(key="p1")).startswith("p1: The words of p1")
    assert str(study.completion_codes.get(outcome=Outcome.COMPLETED)) == "spring: Completed"
    assert isinstance(study, Study)


class TestTheTimeOfAStudy:
    def test_people_have_as_long_as_at_prolific_or_longer_where_the_study_says_so(self):
        assert Study(estimated_minutes=20).allowed_minutes == 51
        assert Study(estimated_minutes=20, max_minutes=90).allowed_minutes == 90
        assert Study(estimated_minutes=20, max_minutes=10).allowed_minutes == 51

    def test_a_limit_below_prolifics_is_refused_beside_its_field(self):
        Study(estimated_minutes=20, max_minutes=51).clean()
        with pytest.raises(ValidationError, match="51 minutes") as refusal:
            Study(estimated_minutes=20, max_minutes=50).clean()
        assert set(refusal.value.error_dict) == {"max_minutes"}


def test_a_study_speaks_a_language_that_has_a_name():
    study = StudyFactory(language="tlh")
    with pytest.raises(ValidationError, match="'tlh' is not the code of a language"):
        study.full_clean()


def test_a_study_that_nobody_entered_goes_with_its_questionnaire_and_posts():
    study = StudyFactory()
    study.delete()
    assert not Post.objects.exists()


def test_no_post_goes_from_under_a_question():
    study = StudyFactory()
    with pytest.raises(RestrictedError):
        study.posts.get(key="c1").delete()
