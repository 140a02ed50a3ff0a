import io

import pyarrow.parquet
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.models import StudyAccess, StudyEvent
from jobs.services import run_here
from modeling.models import SoftLabelSet
from modeling.softlabels.services import create_soft_labels, find_job
from modeling.softlabels.settings import Source
from tests.modeling.softlabels.soft import make_expert_set, make_sampled_run, make_soft, make_study

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
STANDIN = "Stand-in: not from a real model."


@pytest.fixture
def study():
    return make_study()


@pytest.fixture
def posts(study):
    return list(study.posts.order_by("pk"))


@pytest.fixture
def run(study, posts):
    return make_sampled_run(study, {posts[0]: [(0, 6, 2), (1, 6, 2)], posts[1]: [(3, 3, 3)]})


def page_of(study, name="soft_labels", *more):
    return reverse(f"modeling:{name}", args=[study.slug, *more])


def log_in(client, study, role):
    user = get_user_model().objects.create_user(role, is_staff=True)
    StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)
    return user


def read(response):
    return response.content.decode()


def test_weights_make_soft_labels_of_the_sources_that_have_one(admin_client, study, posts, run):
    expert_set = make_expert_set(study, {posts[0]: [(6, 6, 6)]}, {posts[2]: [(1, 1, 1)]})
    page = read(admin_client.get(page_of(study)))
    assert "Sampler, version 1, run" in page
    assert "That leaves out 1 post." in page

    response = admin_client.post(
        page_of(study, "soft_labels_make"),
        {
            "name": "Mixed",
            f"run-{run.pk}-samples": "2",
            f"experts-{expert_set.pk}-samples": "0.5",
            "smoothing": "0.1",
        },
    )

    made = SoftLabelSet.objects.get()
    assert response.url == page_of(study, "soft_label_set", made.pk)
    assert [(row["kind"], row["weight"], row["smoothing"]) for row in made.settings["sources"]] == [
        ("run", 2.0, 0.1),
        ("experts", 0.5, 0.1),
    ]
    assert StudyEvent.objects.filter(study=study, detail__soft_labels=made.pk).exists()


def test_what_was_typed_survives_an_error_that_stands_beside_its_field(admin_client, study, run):
    response = admin_client.post(
        page_of(study, "soft_labels_make"), {"name": "", f"run-{run.pk}-samples": "lots", "smoothing": "99"}
    )

    page = read(response)
    assert response.status_code == 422
    assert 'value="lots"' in page
    assert f'id="soft-run-{run.pk}-samples_error"' in page
    assert 'id="soft-name_error"' in page
    assert 'id="soft-smoothing_error"' in page
    assert not SoftLabelSet.objects.exists()


@pytest.mark.parametrize("weight", ["", "0"])
def test_no_weight_at_all_is_an_error(admin_client, study, run, weight):
    response = admin_client.post(
        page_of(study, "soft_labels_make"), {"name": "None", f"run-{run.pk}-samples": weight}
    )

    assert response.status_code == 422
    assert "Give one source or more a weight above 0." in read(response)


@pytest.mark.parametrize("weight", ["nan", "-1", "1e9"])
def test_a_weight_that_is_none_is_an_error_of_its_field(admin_client, study, run, weight):
    response = admin_client.post(
        page_of(study, "soft_labels_make"), {"name": "Odd", f"run-{run.pk}-samples": weight}
    )

    assert f'id="soft-run-{run.pk}-samples_error"' in read(response)


def test_the_page_shows_whose_the_labels_are_and_some_posts(admin_client, study, posts, run):
    made = make_soft(study, Source("run", run.pk, 3.0), Source("people", None, 1.0))

    page = read(admin_client.get(page_of(study, "soft_label_set", made.pk)))

    assert "75%" in page and "25%" in page
    assert "every" in page  # who counts
    assert posts[0].text in page
    assert 'aria-label="6: 100%"' in page
    assert "hx-get" not in page


def test_the_page_waits_while_they_are_made_and_reloads_when_they_are(admin_client, study, run):
    made = create_soft_labels(study, "Slow", [Source("run", run.pk)])
    address = page_of(study, "soft_label_set", made.pk)
    fragment = read(admin_client.get(address, headers={"HX-Request": "true"}))
    assert fragment.startswith("<section") and "it waits for a worker" in fragment

    run_here(find_job(made))

    assert admin_client.get(address, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"


def test_they_can_be_cancelled_and_begun_anew(admin_client, study, run):
    made = create_soft_labels(study, "Slow", [Source("run", run.pk)])

    admin_client.post(page_of(study, "soft_labels_cancel", made.pk))
    page = read(admin_client.get(page_of(study, "soft_label_set", made.pk)))
    assert "Cancelled." in page and "Begin anew" in page
    admin_client.post(page_of(study, "soft_labels_again", made.pk))

    made.refresh_from_db()
    assert made.state == "ready"
    assert "Cancel" in read(admin_client.get(page_of(study, "soft_label_set", made.pk)))


def test_why_they_failed_is_on_both_pages(admin_client, study, posts):
    run = make_sampled_run(study, {posts[0]: [None]}, name="Silent")
    made = make_soft(study, Source("run", run.pk))

    for address in (page_of(study), page_of(study, "soft_label_set", made.pk)):
        assert "None of the sources has ratings" in read(admin_client.get(address))


def test_what_comes_of_a_stand_in_says_so_everywhere(admin_client, study, posts):
    run = make_sampled_run(study, {posts[0]: [(1, 1, 1)]}, is_standin=True)
    made = make_soft(study, Source("run", run.pk))

    for address in (page_of(study), page_of(study, "soft_label_set", made.pk)):
        assert f'<p class="warning">{STANDIN}</p>' in read(admin_client.get(address))
    response = admin_client.get(page_of(study, "soft_labels_table", made.pk))
    assert "-stand-in.parquet" in response.headers["Content-Disposition"]


def test_the_table_holds_every_source_and_is_only_for_who_may_take_data_away(client, study, run):
    made = make_soft(study, Source("run", run.pk))
    log_in(client, study, "analyst")

    response = client.get(page_of(study, "soft_labels_table", made.pk))

    table = pyarrow.parquet.read_table(io.BytesIO(b"".join(response.streaming_content)))
    assert table.column_names == [
        "post_id",
        "post_key",
        "value",
        "source",
        "weight",
        *(f"p{n}" for n in range(7)),
    ]
    assert set(table["source"].to_pylist()) == {f"Sampler, version 1, run {run.pk} (samples)", "mixed"}
    log_in(client, study, "assistant")
    assert client.get(page_of(study, "soft_labels_table", made.pk)).status_code in (403, 404)
    assert "Download" not in read(client.get(page_of(study, "soft_label_set", made.pk)))


def test_an_analyst_sees_labels_but_makes_none(client, study, run):
    log_in(client, study, "analyst")

    assert "Make soft labels" not in read(client.get(page_of(study)))
    assert client.post(page_of(study, "soft_labels_make"), {"name": "x"}).status_code in (403, 404)


def test_a_strangers_set_is_not_found(admin_client, study, run):
    other = make_study()
    made = make_soft(study, Source("run", run.pk))

    assert admin_client.get(page_of(other, "soft_label_set", made.pk)).status_code == 404


def test_the_command_makes_them_and_tells_what_came_of_it(study, posts, run):
    make_expert_set(study, {posts[0]: [(6, 6, 6)]}, {posts[2]: [(1, 1, 1)]})
    told = io.StringIO()

    call_command(
        "soft_labels",
        study.slug,
        "--name=Mixed",
        f"--run={run.pk}:2",
        "--people=0.5",
        "--experts=Gold:3",
        stdout=told,
    )

    made = SoftLabelSet.objects.get()
    assert made.state == "done"
    assert [row["weight"] for row in made.settings["sources"]] == [2.0, 0.5, 3.0]
    assert "1 test posts were left out" in told.getvalue()
    assert "weight 2: Sampler, version 1" in told.getvalue()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--run=first"], "--run: 'first' is not understood"),
        (["--run=999"], "is no run of this study"),
        (["--people=much"], "no weight"),
        (["--experts=Nobody"], "no expert set 'Nobody'"),
        ([], "from 1 to 20 sources"),
    ],
    ids=["word", "stranger", "weight", "set", "nothing"],
)
def test_a_command_that_cannot_be_understood_says_why(study, options, message):
    with pytest.raises(CommandError, match=message):
        call_command("soft_labels", study.slug, "--name=Mixed", *options)
