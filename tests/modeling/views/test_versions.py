import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from annotation.models import Study, StudyAccess
from annotation.studyfile import load
from annotation.versions import freeze
from tests.factories import StudyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


def text_of(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def log_in(client, study, role):
    user = get_user_model().objects.create_user(f"{role}-{study.slug}", is_staff=True)
    if role:
        StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)
    return user


@pytest.fixture
def study():
    return StudyFactory(name="Wave one")


def page(study, name="versions", *args, **query):
    return reverse(f"modeling:{name}", args=[study.slug, *args], query=query or None)


def edit(study, **fields):
    Study.objects.filter(pk=study.pk).update(**fields)
    return freeze(study, reason="Clearer words.")


def test_a_study_without_a_version_says_when_there_will_be_one(admin_client, study):
    assert "no version yet" in text_of(admin_client.get(page(study)))
    assert admin_client.get(page(study, "version_changes")).status_code == 404


def test_versions_are_listed_newest_first_with_who_why_and_digest(client, study):
    user = log_in(client, study, "assistant")
    first = freeze(study, actor=user, reason="It begins.")
    second = edit(study, welcome="Other words.")
    text = text_of(client.get(page(study)))
    assert text.index("Version 2 in force") < text.index("Version 1 ")
    for said in (first.digest, second.digest, "It begins.", "Clearer words.", user.username, "a command"):
        assert said in text


def test_the_list_leads_to_each_change_and_each_file(admin_client, study):
    freeze(study)
    edit(study, welcome="Other words.")
    html = admin_client.get(page(study)).content.decode()
    assert f'href="{page(study, "version_changes")}?new=2&amp;old=1"' in html
    assert f'href="{page(study, "version_file", 1)}"' in html
    assert "?new=1&amp;old=0" not in html


def test_changes_show_what_is_gone_and_what_is_new(admin_client, study):
    freeze(study)
    edit(study, welcome="Thank you for <b>waiting</b>.")
    response = admin_client.get(page(study, "version_changes", old=1, new=2))
    html = response.content.decode()
    assert "<del>coming.</del><ins>&lt;b&gt;waiting&lt;/b&gt;.</ins>" in html
    assert "About › welcome text" in html


def test_the_older_version_comes_first_whichever_is_asked_for(admin_client, study):
    freeze(study)
    edit(study, welcome="Other words.")
    assert "from version 1 to version 2" in text_of(
        admin_client.get(page(study, "version_changes", old=2, new=1))
    )


def test_without_numbers_the_last_two_are_compared(admin_client, study):
    freeze(study)
    edit(study, welcome="Other words.")
    edit(study, welcome="Still others.")
    assert "from version 2 to version 3" in text_of(admin_client.get(page(study, "version_changes")))


def test_a_version_does_not_differ_from_itself(admin_client, study):
    freeze(study)
    assert "the two are the same" in text_of(admin_client.get(page(study, "version_changes", old=1, new=1)))


@pytest.mark.parametrize("number", ["7", "0", "-1", "x", "²", "9" * 40])
def test_a_version_that_is_not_there_is_not_found(admin_client, study, number):
    freeze(study)
    assert admin_client.get(page(study, "version_changes", old=number)).status_code == 404


def test_a_version_is_downloaded_as_a_study_file_without_codes(admin_client, study):
    freeze(study)
    edit(study, welcome="Other words.")
    response = admin_client.get(page(study, "version_file", 1))
    assert response["Content-Disposition"] == f'attachment; filename="{study.slug}-version-1.study.json"'
    data = json.loads(response.content)
    assert (data["about"]["welcome"], "codes" in data, len(data["posts"])) == (
        "Thank you for coming.",
        False,
        3,
    )
    assert load(data, slug="again").posts.count() == 5


def test_the_name_of_the_file_says_how_many_posts_are_gone_since(admin_client, study):
    freeze(study)
    study.posts.get(key="p2").delete()
    response = admin_client.get(page(study, "version_file", 1))
    assert "-version-1-without-1-posts.study.json" in response["Content-Disposition"]
    assert admin_client.get(page(study, "version_file", 2)).status_code == 404


@pytest.mark.parametrize("name", ["versions", "version_changes", "version_file"])
def test_a_stranger_finds_nothing(client, study, name):
    freeze(study)
    arguments = [1] if name == "version_file" else []
    address = page(study, name, *arguments)
    assert client.get(address).status_code == 302
    log_in(client, study, None)
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("role", StudyAccess.Role.values)
def test_every_role_sees_the_versions(client, study, role):
    freeze(study)
    log_in(client, study, role)
    assert client.get(page(study)).status_code == 200
    assert client.get(page(study, "version_file", 1)).status_code == 200


def test_a_version_of_another_study_is_not_shown(admin_client, study):
    other = StudyFactory()
    freeze(other)
    assert admin_client.get(page(study, "version_file", 1)).status_code == 404


def test_the_list_does_not_grow_slower_with_the_size_of_a_study(
    admin_client, study, django_assert_max_num_queries
):
    for number in range(6):
        edit(study, welcome=f"Words {number}.")
    with django_assert_max_num_queries(25) as queries:
        admin_client.get(page(study))
    assert not any("post_digests" in query["sql"] for query in queries)
