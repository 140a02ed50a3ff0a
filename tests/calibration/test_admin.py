import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from annotation.models import Post, StudyAccess
from annotation.selectors import _tree
from calibration.instrument.shipped import CONTENT
from calibration.models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from tests.admin_pages import read_errors, read_form
from tests.factories import EnrollmentFactory, PostFactory, RaterFactory, StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


@pytest.fixture
def study():
    return StudyFactory()


@pytest.fixture
def enrollment(study):
    return EnrollmentFactory(study=study, rater=RaterFactory(origin="simulated", external_id="SECRETID9"))


def page_of(row):
    return reverse(f"admin:calibration_{row._meta.model_name}_change", args=[row.pk])


def save(client, row, **changes):
    return client.post(page_of(row), read_form(client.get(page_of(row))) | changes)


def answer(enrollment):
    question = CalibrationQuestion.objects.filter(study=enrollment.study).first()
    return CalibrationAnswer.objects.create(enrollment=enrollment, question=question, rating=2)


def respond(enrollment):
    questionnaire = Questionnaire.objects.get(study=enrollment.study)
    return QuestionnaireResponse.objects.create(
        enrollment=enrollment,
        questionnaire=questionnaire,
        version=questionnaire.definition["version"],
        answers={"age": 44},
    )


@pytest.mark.parametrize("store", [answer, respond])
def test_answers_are_read_only_pseudonymous_and_marked(admin_client, enrollment, store):
    row = store(enrollment)
    name = row._meta.model_name
    listed = admin_client.get(reverse(f"admin:calibration_{name}_changelist")).content.decode()
    assert str(enrollment.rater.pseudonym) in listed
    assert '<span class="simulated">simulated</span>' in listed
    assert "SECRETID9" not in listed
    assert admin_client.get(reverse(f"admin:calibration_{name}_add")).status_code == 403
    assert admin_client.get(page_of(row)).status_code == 200
    assert admin_client.post(page_of(row), {"rating": 5}).status_code == 403
    delete = reverse(f"admin:calibration_{name}_delete", args=[row.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def test_a_response_shows_what_was_answered(admin_client, enrollment):
    assert "&quot;age&quot;: 44" in admin_client.get(page_of(respond(enrollment))).content.decode()


def test_an_open_question_can_change(admin_client, study):
    question = CalibrationQuestion.objects.filter(study=study).first()
    assert save(admin_client, question, value_key=study.value_keys[3]).status_code == 302
    question.refresh_from_db()
    assert question.value_key == study.value_keys[3]


def test_an_answered_question_stays_what_it_was(admin_client, enrollment):
    question = answer(enrollment).question
    save(admin_client, question, value_key=enrollment.study.value_keys[3], position="40")
    stored = CalibrationQuestion.objects.get(pk=question.pk)
    assert (stored.value_key, stored.position) == (question.value_key, question.position)


def test_a_question_takes_only_its_own_studys_calibration_posts(admin_client, study):
    question = CalibrationQuestion.objects.filter(study=study).first()
    stranger = PostFactory(study=StudyFactory(), purpose=Post.Purpose.CALIBRATION)
    labeled = study.posts.filter(purpose=Post.Purpose.LABELING).first()
    assert "another study" in read_errors(save(admin_client, question, post=str(stranger.pk)))
    assert "for labeling" in read_errors(save(admin_client, question, post=str(labeled.pk)))


def test_a_value_the_study_does_not_have_is_refused(admin_client, study):
    question = CalibrationQuestion.objects.filter(study=study).first()
    assert "has no value" in read_errors(save(admin_client, question, value_key="nonsense"))


def test_a_questionnaire_with_faults_is_refused_with_each_of_them(admin_client, study):
    questionnaire = Questionnaire.objects.get(study=study)
    broken = {"items": [{"key": "a", "kind": "song", "label": ""}]}
    said = read_errors(save(admin_client, questionnaire, definition=json.dumps(broken)))
    assert "title is missing" in said
    assert "label is missing" in said


@pytest.mark.parametrize("text", ["", "[]", "null", "no json"])
def test_a_questionnaire_that_is_no_object_is_a_form_error(admin_client, study, text):
    response = save(admin_client, Questionnaire.objects.get(study=study), definition=text)
    assert response.status_code == 200
    assert "definition" in response.context["adminform"].form.errors


def test_a_version_that_was_answered_changes_only_with_its_number(admin_client, enrollment):
    questionnaire = respond(enrollment).questionnaire
    changed = questionnaire.definition | {"title": "Another title"}
    said = read_errors(save(admin_client, questionnaire, definition=json.dumps(changed)))
    assert "raise 'version'" in said
    changed["version"] += 1
    assert save(admin_client, questionnaire, definition=json.dumps(changed)).status_code == 302


def test_an_answered_question_is_not_deleted_and_says_why(admin_client, enrollment):
    question = answer(enrollment).question
    address = reverse("admin:calibration_calibrationquestion_delete", args=[question.pk])
    assert admin_client.post(address, {"post": "yes"}).context["protected"]
    assert CalibrationQuestion.objects.filter(pk=question.pk).exists()


def test_a_response_shows_its_scale_scores_or_why_there_are_none(admin_client, enrollment):
    response = respond(enrollment)
    assert "names no scoring key" in admin_client.get(page_of(response)).content.decode()
    definition = json.loads((CONTENT / "values_19.json").read_text(encoding="utf-8"))
    Questionnaire.objects.update(definition=definition)
    QuestionnaireResponse.objects.update(answers=dict.fromkeys(["fits_face", "fits_humility"], 5))
    html = admin_client.get(page_of(response)).content.decode()
    said = "2 of all 19 items answered; at least 15 needed for centring"
    assert f"<tr><th>Face</th><td>5.00</td><td>-</td><td>1</td><td>{said}</td></tr>" in html
    definition["items"][0]["rows"] = definition["items"][0]["rows"][:2]
    key = {
        "key": "k",
        "instrument": "I",
        "answers": {"min": 1, "max": 6},
        "items": ["fits_self_direction_action"],
    }
    definition["scoring"] = key | {"scales": [{"key": "one", "label": "<One>", "items": key["items"]}]}
    Questionnaire.objects.update(definition=definition)
    html = admin_client.get(page_of(response)).content.decode()
    assert "<tr><th>&lt;One&gt;</th><td>-</td><td>-</td><td>0</td><td>0 of 1 items answered" in html


class TestUploadedItemTexts:
    address = "/admin/calibration/questionnaire/upload/"
    texts = "number,text\n" + "".join(f"{n},Wording {n}\n" for n in range(1, 11))

    def fields(self, asked_in, texts=None, **changes):
        raw = self.texts if texts is None else texts
        usual = {
            "study": str(asked_in.pk),
            "scoring": "bfi_10",
            "labels": "No\nRather not\n\nBetween\nRather\nYes\n",
            "key": "big-five",
            "title": "About you",
            "instruction": "How far do you agree?",
            "required": "on",
        }
        file = SimpleUploadedFile("items.csv", raw if isinstance(raw, bytes) else raw.encode())
        return usual | {"texts": file} | changes

    def test_make_a_questionnaire_of_the_study_that_can_be_scored(self, admin_client, study):
        response = admin_client.post(self.address, self.fields(study))
        made = Questionnaire.objects.get(key="big-five")
        assert response.url == reverse("admin:calibration_questionnaire_change", args=[made.pk])
        assert made.study == study
        assert made.definition["scoring"] == "bfi_10"
        (grid,) = made.instrument.items
        assert grid.rows[4] == ("bfi5", "Wording 5")
        assert grid.options == ((1, "No"), (2, "Rather not"), (3, "Between"), (4, "Rather"), (5, "Yes"))
        assert (grid.required, grid.prefer_not_to_say) == (True, False)
        assert LogEntry.objects.get().object_id == str(made.pk)

    def test_the_page_is_linked_from_the_list_and_names_every_key(self, admin_client):
        listed = admin_client.get(reverse("admin:calibration_questionnaire_changelist")).content.decode()
        assert f'href="{self.address}"' in listed
        html = admin_client.get(self.address).content.decode()
        assert (
            "PVQ-RR, the revised Portrait Values Questionnaire of 57 items (57 items, answers 1 to 6)" in html
        )

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"texts": "number,text\n1,A\n1,B\n"}, "line 3: number 1 was given before, in line 2"),
            ({"texts": "number,text\n1,A\n"}, "gives 1 of 10 items; missing: 2, 3, 4, 5, 6, 7, 8, 9, 10"),
            ({"texts": "number,text\n1,Größe".encode("latin-1")}, "line 2: this is not UTF-8"),
            ({"texts": b"x" * 200_001}, "200,001 bytes; at most 200,000"),
            ({"texts": ""}, "empty"),
            ({"labels": "No\nYes"}, "give 5 labels, one a line, not 2"),
            ({"scoring": "pvq_21"}, "of 21 items"),
            ({"scoring": "zodiac"}, "zodiac"),
            ({"key": "demographics"}, "already exists"),
            ({"key": "no key"}, "slug"),
            ({"title": ""}, "required"),
            ({"title": "a\x00b"}, "Null characters"),
            ({"study": "999"}, "valid choice"),
        ],
        ids=str,
    )
    def test_a_fault_is_named_and_nothing_is_stored(self, admin_client, study, changes, said):
        texts = changes.pop("texts", None)
        response = admin_client.post(self.address, self.fields(study, texts, **changes))
        assert response.status_code == 200
        assert said in response.context["form"].errors.as_text()
        assert "Nothing was stored yet" in response.content.decode()
        assert not Questionnaire.objects.exclude(key="demographics").exists()

    def test_a_missing_file_is_named(self, admin_client, study):
        sent = self.fields(study)
        del sent["texts"]
        assert "texts" in admin_client.post(self.address, sent).context["form"].errors

    def test_only_who_may_add_questionnaires_uploads_any(self, client, study):
        assert client.get(self.address).status_code == 302
        person = User.objects.create_user("reader", is_staff=True)
        study.accesses.create(user=person, role=StudyAccess.Role.ANALYST)
        client.force_login(person)
        assert client.post(self.address, self.fields(study)).status_code == 403
        listed = client.get(reverse("admin:calibration_questionnaire_changelist")).content.decode()
        assert self.address not in listed
