import json
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from annotation.models import Study, StudyAccess
from annotation.selectors import _tree
from annotation.studyfile import dump, to_json
from tests.every_step import EVERY_STEP, build_study
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


def page(name, *args):
    return reverse(f"admin:annotation_study_{name}", args=args)


@pytest.fixture
def researcher(client):
    user = get_user_model().objects.create_user("ada", is_staff=True)
    client.force_login(user)
    return user


def send(client, content, **fields):
    file = SimpleUploadedFile("wave.study.json", content, "application/json")
    return client.post(page("upload"), {"file": file, "name": "", "slug": ""} | fields)


def read_errors(response):
    assert response.status_code == 200
    return unescape(response.context["form"].errors.as_text())


class TestThePapersDesign:
    def test_it_is_offered_with_a_name_and_a_free_slug(self, admin_client):
        StudyFactory(slug="paper-design")
        html = admin_client.get(page("from_paper")).content.decode()
        assert 'value="paper-design-2"' in html
        assert "square brackets" in html

    def test_one_click_makes_the_study_and_opens_it(self, client, researcher):
        form = client.get(page("from_paper")).context["form"]
        response = client.post(page("from_paper"), form.initial)
        study = Study.objects.get()
        assert response["Location"] == page("change", study.pk)
        assert study.steps.count() == 11
        assert StudyAccess.objects.get(study=study, user=researcher).role == "owner"
        assert client.get(response["Location"]).status_code == 200

    def test_a_slug_that_is_taken_is_said_beside_it_and_the_name_survives(self, admin_client):
        StudyFactory(slug="taken")
        response = admin_client.post(page("from_paper"), {"name": "My wave", "slug": "taken"})
        assert response.context["form"].errors["slug"] == [
            "there is a study 'taken' already; choose another slug"
        ]
        assert 'value="My wave"' in response.content.decode()
        assert Study.objects.count() == 1


class TestCopies:
    def test_a_copy_is_made_under_another_name(self, client, researcher):
        study = build_study(*EVERY_STEP, name="Wave 1", slug="wave")
        StudyAccess.objects.create(study=study, user=researcher, role="assistant")
        form = client.get(page("duplicate", study.pk)).context["form"]
        assert form.initial == {"name": "Copy of Wave 1", "slug": "wave-2"}
        response = client.post(page("duplicate", study.pk), form.initial)
        copy = Study.objects.get(slug="wave-2")
        assert response["Location"] == page("change", copy.pk)
        assert dump(copy)["steps"] == dump(study)["steps"]
        assert StudyAccess.objects.get(study=copy, user=researcher).role == "owner"

    def test_a_study_that_cannot_be_copied_says_why(self, admin_client):
        study = StudyFactory()
        study.value_system.nodes.filter(is_leaf=True).delete()
        study.value_system.save()
        response = admin_client.post(page("duplicate", study.pk), {"name": "Copy", "slug": "copy"})
        assert "values: root" in read_errors(response)


class TestDownloads:
    def test_a_study_is_sent_as_its_file(self, admin_client):
        study = StudyFactory(slug="wave")
        response = admin_client.get(page("download", study.pk))
        assert response["Content-Disposition"] == 'attachment; filename="wave.study.json"'
        assert json.loads(response.content) == dump(study)

    @pytest.mark.parametrize("part", ["codes", "posts"])
    def test_codes_and_posts_can_be_left_out(self, admin_client, part):
        study = StudyFactory()
        sent = json.loads(admin_client.get(f"{page('download', study.pk)}?{part}=no").content)
        assert part not in sent
        assert sent == {key: value for key, value in dump(study).items() if key != part}

    def test_one_whose_values_are_not_complete_leads_back_with_the_reason(self, admin_client):
        study = StudyFactory()
        study.value_system.nodes.filter(is_leaf=True).delete()
        study.value_system.save()
        response = admin_client.get(page("download", study.pk), follow=True)
        assert "cannot be written as a file yet" in response.content.decode()


class TestUploads:
    def test_a_file_makes_a_study(self, client, researcher):
        data = dump(StudyFactory(slug="wave", name="Wave"))
        data["about"]["slug"] = "other"
        response = send(client, to_json(data).encode())
        study = Study.objects.get(slug="other")
        assert response["Location"] == page("change", study.pk)
        assert dump(study) == data
        assert study.events.get(action="created").summary == "Made from the file 'wave.study.json'."

    def test_name_and_slug_may_be_given_anew(self, admin_client):
        send(admin_client, to_json(dump(StudyFactory())).encode(), name="Anew", slug="anew")
        assert Study.objects.get(slug="anew").name == "Anew"

    def test_missing_codes_are_drawn_where_that_is_wanted(self, admin_client):
        data = to_json(dump(StudyFactory(), codes=False)).encode()
        send(admin_client, data, slug="with", draws_codes="on")
        send(admin_client, data, slug="without")
        assert Study.objects.get(slug="with").completion_codes.exists()
        assert not Study.objects.get(slug="without").completion_codes.exists()

    def test_every_fault_is_listed_and_what_was_typed_survives(self, admin_client):
        data = dump(build_study(*EVERY_STEP))
        data["codes"] = {"completed": "SAME", "no_consent": "SAME"}
        data["values"]["root"]["children"][0]["children"] = []
        data["steps"][1]["config"] = {}
        response = send(admin_client, to_json(data).encode(), name="My wave", slug="mine", draws_codes="on")
        errors = read_errors(response)
        for fault in (
            "codes.no_consent: the code 'SAME' is that of 'completed' already",
            "values: root > personal_focus: children is empty",
            "steps[1].config: step 2, Instructions: 'title' is missing",
        ):
            assert fault in errors
        html = response.content.decode()
        assert 'value="My wave"' in html
        assert 'value="mine"' in html
        assert Study.objects.count() == 1

    def test_very_many_faults_are_cut_off_with_their_number(self, admin_client):
        data = dump(StudyFactory(slug="wave"))
        data["about"]["slug"] = "other"
        data["posts"] = [{"key": "", "text": "x"} for _ in range(150)]
        errors = read_errors(send(admin_client, to_json(data).encode()))
        assert errors.count("it must be text of 1 to 200 characters") == 100
        assert "And 50 more." in errors

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            (b"name,text", "file: it is not JSON: line 1, column 1"),
            (b"{}", "this is none, or not a whole one"),
            (b"\x89PNG\r\n", "it is not UTF-8 text"),
        ],
    )
    def test_what_is_no_study_file_is_refused_with_the_reason(self, admin_client, content, fault):
        assert fault in read_errors(send(admin_client, content))
        assert not Study.objects.exists()

    def test_a_form_without_a_file_says_so(self, admin_client):
        response = admin_client.post(page("upload"), {"name": "", "slug": ""})
        assert "file" in response.context["form"].errors

    def test_a_file_beyond_the_limit_is_not_read(self, admin_client, monkeypatch):
        monkeypatch.setattr("annotation.admin.designs.MAX_BYTES", 10)
        assert "at most 10 are read" in read_errors(send(admin_client, b"{" + b" " * 20))


@pytest.mark.parametrize("name", ["duplicate", "download"])
def test_a_study_is_copied_and_sent_by_those_who_set_it_up_alone(client, researcher, name):
    study = StudyFactory()
    assert client.get(page(name, study.pk)).status_code == 404
    access = StudyAccess.objects.create(study=study, user=researcher, role="analyst")
    assert client.get(page(name, study.pk)).status_code == 404
    access.role = "assistant"
    access.save()
    assert client.get(page(name, study.pk)).status_code == 200


@pytest.mark.parametrize("name", ["from_paper", "upload"])
def test_whoever_is_no_researcher_is_sent_to_log_in(client, name):
    assert client.get(page(name)).status_code == 302
    client.force_login(get_user_model().objects.create_user("reader"))
    assert client.post(page(name), {"name": "x", "slug": "x"}).status_code in (302, 403)
    assert not Study.objects.exists()
