import re
from dataclasses import replace

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from annotation.models import StudyAccess
from annotation.selectors import _tree
from modeling.annotators.prompts import get_design, get_prompt, save_prompt
from modeling.models import AnnotatorModel
from tests.factories import StudyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


@pytest.fixture
def study():
    return StudyFactory(name="Wave one", posts=2, questions=0)


def log_in(client, study, role):
    user = get_user_model().objects.create_user(f"{role}-{study.slug}", is_staff=True)
    StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)
    return user


def page(study, name, *args, **query):
    return reverse(f"modeling:{name}", args=[study.slug, *args], query=query or None)


def text_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def fill_in(client, study, purpose="nsfw", **changes):
    """What the form sends as it stands, with these changes."""
    return read_fields(client.get(page(study, "prompt_edit", purpose))) | changes


def read_fields(response):
    form = response.context["form"]
    return {name: form[name].value() or "" for name in form.fields}


def send(client, study, purpose="nsfw", **changes):
    return client.post(page(study, "prompt_edit", purpose), fill_in(client, study, purpose, **changes))


def test_the_list_shows_every_prompt_with_its_versions(client, study):
    user = log_in(client, study, "assistant")
    design = get_design(get_prompt(study, "nsfw"))
    save_prompt(study, replace(design, closing="Other."), note="Stricter <now>.", user=user)
    html = client.get(page(study, "prompts")).content.decode()
    for purpose, number in (("values", 1), ("comprehensibility", 1), ("nsfw", 1), ("nsfw", 2)):
        assert f'href="{page(study, "prompt", purpose, number)}"' in html
    assert "Stricter &lt;now&gt;." in html
    assert user.username in html
    assert f'href="{page(study, "prompt_edit", "nsfw")}"' in html


def test_who_may_not_set_up_reads_without_being_led_to_the_form(client, study):
    log_in(client, study, "analyst")
    for name, args in (("prompts", ()), ("prompt", ("nsfw", 1))):
        response = client.get(page(study, name, *args))
        assert response.status_code == 200
        assert page(study, "prompt_edit", "nsfw") + '"' not in response.content.decode()
    assert client.get(page(study, "prompt_edit", "nsfw")).status_code == 404


def test_a_version_is_shown_as_the_model_gets_it_with_a_post_of_the_study(client, study):
    log_in(client, study, "analyst")
    response = client.get(page(study, "prompt", "values", 1))
    text = text_of(response)
    design = get_design(get_prompt(study, "values"))
    for concept in design.concepts:
        assert f"- {concept.key} ({concept.label})" in text
    assert study.posts.order_by("pk")[0].text in text
    assert "Post 1 of 2" in text
    assert "additionalProperties" in text
    assert "no annotator model" in text


def test_another_post_can_be_the_example(client, study):
    log_in(client, study, "analyst")
    second = study.posts.order_by("pk")[1]
    response = client.get(page(study, "prompt", "values", 1, example=2))
    assert second.text in response.context["turns"][-1]["content"]
    for nonsense in ("0", "3", "-1", "x", "9" * 30, "²"):
        shown = client.get(page(study, "prompt", "values", 1, example=nonsense))
        assert shown.context["example"] == 1


def test_a_study_without_posts_says_so(client):
    bare = StudyFactory(posts=0, questions=0)
    log_in(client, bare, "owner")
    for response in (
        client.get(page(bare, "prompt", "nsfw", 1)),
        client.get(page(bare, "prompt_edit", "nsfw")),
        send(client, bare, preview="1"),
    ):
        assert "This study has no post yet." in text_of(response)


def test_a_planted_post_is_shown_as_text(client, study):
    log_in(client, study, "analyst")
    study.posts.order_by("pk").update(text='<script>alert(1)</script> "} \u202e')
    html = client.get(page(study, "prompt", "nsfw", 1)).content.decode()
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "\\u003cscript>".replace(">", "&gt;") in html


def test_a_version_names_the_annotator_models_made_with_it(client, study):
    log_in(client, study, "analyst")
    AnnotatorModel.objects.create(
        study=study,
        name="Reader",
        version=3,
        kind="zero_shot",
        prompt=get_prompt(study, "nsfw"),
        provider="p",
        model_name="m",
        digest="d",
    )
    assert "Reader, version 3" in text_of(client.get(page(study, "prompt", "nsfw", 1)))


def test_saving_makes_the_next_version_and_shows_what_changed(client, study):
    user = log_in(client, study, "assistant")
    response = send(
        client,
        study,
        instructions="Judge\r\nthis post.",
        definition_1="Whether blood flows.",
        point_0="nothing of it",
        note="Plainer.",
    )
    assert response.url == page(study, "prompt", "nsfw", 2)
    prompt = get_prompt(study, "nsfw")
    assert (prompt.number, prompt.note, prompt.created_by) == (2, "Plainer.", user)
    design = get_design(prompt)
    assert design.instructions == "Judge\nthis post."
    assert design.concepts[1].definition == "Whether blood flows."
    assert design.scale[0].label == "nothing of it"
    before = get_design(study.prompt_versions.get(purpose="nsfw", number=1))
    assert (design.concepts[0], design.closing) == (before.concepts[0], before.closing)
    html = client.get(response.url).content.decode()
    assert "What changed since version 1" in html
    assert "Violent content › definition" in html
    assert "Saved as version 2" in html


def test_every_prompt_can_be_saved_as_it_stands_and_makes_no_version(client, study):
    log_in(client, study, "owner")
    for purpose in ("values", "comprehensibility", "nsfw"):
        response = send(client, study, purpose)
        assert response.url == page(study, "prompt_edit", purpose)
        assert "Nothing was changed" in text_of(client.get(response.url))
    assert study.prompt_versions.count() == 3


def test_what_a_person_typed_survives_an_error_beside_its_field(client, study):
    log_in(client, study, "owner")
    response = send(
        client,
        study,
        instructions=" ",
        label_0="<b>My name</b>",
        low_1="",
        point_3="",
        definition_2="x" * 10_001,
    )
    text = text_of(response, 422)
    html = response.content.decode()
    form = response.context["form"]
    assert set(form.errors) == {"instructions", "low_1", "point_3", "definition_2"}
    assert "both ends" in form.errors["low_1"][0]
    assert "&lt;b&gt;My name&lt;/b&gt;" in html
    assert "Nothing was saved" in text
    for name in form.errors:
        assert f'id="id_{name}_error"' in html
    assert not study.prompt_versions.exists()


def test_how_the_words_read_is_shown_without_saving(client, study):
    log_in(client, study, "owner")
    response = send(client, study, preview="1", instructions="Quite other words.", example="2")
    text = text_of(response)
    assert response.context["turns"][0]["content"].startswith("Quite other words.")
    assert study.posts.order_by("pk")[1].text in response.context["turns"][1]["content"]
    assert "What you would change" in text
    assert response.context["form"]["instructions"].value() == "Quite other words."
    assert not study.prompt_versions.exists()


def test_who_saves_after_somebody_else_is_told_first_and_may_then_save(client, study):
    log_in(client, study, "owner")
    sent = fill_in(client, study, closing="Mine.")
    design = get_design(get_prompt(study, "nsfw"))
    save_prompt(study, replace(design, closing="Theirs."))
    response = client.post(page(study, "prompt_edit", "nsfw"), sent)
    assert "Somebody saved version 2 while you were writing" in text_of(response, 422)
    again = read_fields(response)
    assert again["closing"] == "Mine."
    assert client.post(page(study, "prompt_edit", "nsfw"), again).url == page(study, "prompt", "nsfw", 3)
    assert get_design(get_prompt(study, "nsfw")).closing == "Mine."


@pytest.mark.parametrize(
    "address",
    ["prompts/weather/", "prompts/weather/1/", "prompts/nsfw/2/", "prompts/nsfw/0/"],
)
def test_what_is_not_there_is_not_found(client, study, address):
    log_in(client, study, "owner")
    assert client.get(page(study, "study") + address).status_code == 404


def test_every_field_has_a_label_and_help(client, study):
    log_in(client, study, "owner")
    response = client.get(page(study, "prompt_edit", "comprehensibility"))
    html = response.content.decode()
    for field in response.context["form"].visible_fields():
        assert f'<label for="{field.id_for_label}">' in html
        assert f'id="{field.auto_id}_helptext"' in html
        assert f'aria-describedby="{field.auto_id}_helptext"' in html


def test_the_admin_shows_versions_and_leads_to_their_pages(client, study):
    log_in(client, study, "owner")
    prompt = get_prompt(study, "nsfw")
    for url in (
        reverse("admin:modeling_promptversion_changelist"),
        reverse("admin:modeling_promptversion_change", args=[prompt.pk]),
    ):
        html = client.get(url).content.decode()
        assert page(study, "prompt", "nsfw", 1) in html
        assert 'name="_save"' not in html
