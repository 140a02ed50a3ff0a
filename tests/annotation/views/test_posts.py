import gzip
import html
import re

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from annotation.models import Post, PostUpload, Study, StudyAccess
from annotation.services import uploads
from annotation.uploads.mapping import Role
from jobs.models import Job
from jobs.services import run_here
from tests.annotation.post_files import load, make_study, store, write_csv
from tests.visitor import read

pytestmark = pytest.mark.django_db
State = PostUpload.State
OF_AN_UPLOAD = ("upload", "layout", "load", "progress", "reopen", "again", "discard", "undo", "report")
POSTED = ("layout", "load", "reopen", "again", "discard", "undo")


@pytest.fixture
def study():
    return make_study(slug="feeds")


def page(name, study, *args):
    return reverse(f"posts:{name}", args=[study.slug, *args])


def text_of(response):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def send(client, study, content=None, name="posts.csv"):
    file = SimpleUploadedFile(name, write_csv() if content is None else content)
    return client.post(page("uploads", study), {"file": file})


def fields_of(response, **changes):
    """What the big form would send."""
    shown = read(response).form(having="shown")
    sent = {name: control.values for name, control in shown.controls.items() if control.values}
    return sent | changes


def work():
    for job in Job.objects.filter(state=Job.State.QUEUED):
        run_here(job, poll_seconds=0)


# --- the way --------------------------------------------------------------------------------------


def test_a_file_goes_from_the_form_to_the_posts(admin_client, study):
    response = send(admin_client, study, write_csv(3) + b"p9,,home,1\n")
    upload = PostUpload.objects.get()
    assert response.url == page("upload", study, upload.pk)
    response = admin_client.get(response.url)
    text = text_of(response)
    assert "Read as CSV, UTF-8, cells separated by comma" in text
    assert "Of the first 4 rows, 3 would be added and 1 refused." in text
    assert "The text is empty: 1 (row 4)" in text
    assert "We should look after one another whatever the neighbours say, number 2." in text
    response = admin_client.post(page("load", study, upload.pk), fields_of(response))
    assert response.url == page("upload", study, upload.pk)
    assert "Waits for a worker" in text_of(admin_client.get(response.url))
    assert not Post.objects.exists()
    work()
    text = text_of(admin_client.get(response.url))
    assert "Posts added 3" in text
    assert "Rows refused 1" in text
    assert study.posts.count() == 3
    report = admin_client.get(page("report", study, upload.pk))
    assert report["Content-Disposition"] == 'attachment; filename="refused-posts.csv"'
    assert b"4,5,p9,The text is empty" in b"".join(report.streaming_content)
    assert "3 posts added, 1 row refused" in text_of(admin_client.get(page("uploads", study)))


def test_meanings_and_filters_show_what_they_do_and_are_kept(admin_client, study):
    send(admin_client, study, write_csv(3) + write_csv(2, "de", begin=4).split(b"\n", 1)[1])
    address = page("upload", study, PostUpload.objects.get().pk)
    sent = fields_of(admin_client.get(address), **{"languages": "en", "role-2": "author", "source": "Mine"})
    response = admin_client.post(address, sent)
    assert "Of the first 5 rows, 3 would be added and 2 refused." in text_of(response)
    settings = uploads.get_settings(PostUpload.objects.get())
    assert settings.filters.languages == ("en",)
    assert settings.columns.source == "Mine"
    assert settings.columns.roles["feed"] == Role.AUTHOR
    assert "Of the first 5 rows, 3 would be added" in text_of(admin_client.get(address))


def test_another_encoding_is_read_at_once(admin_client, study):
    send(admin_client, study, "id;text\n1;Łódź jest daleko\n".encode("cp1250"))
    upload = PostUpload.objects.get()
    address = page("upload", study, upload.pk)
    assert "Łódź" not in text_of(admin_client.get(address))
    sent = {"layout-encoding": "cp1250", "layout-delimiter": ";", "layout-quotes": "yes"}
    assert admin_client.post(page("layout", study, upload.pk), sent).url == address
    assert "Łódź jest daleko" in text_of(admin_client.get(address))


@pytest.mark.parametrize("name", ["posts.csv.gz", "../../posts.csv", "posts", "<b>posts</b>.csv"])
def test_the_name_of_a_file_decides_nothing_and_runs_nothing(admin_client, study, name):
    content = gzip.compress(write_csv()) if name.endswith("gz") else write_csv()
    response = send(admin_client, study, content, name)
    assert "5 would be added" in text_of(admin_client.get(response.url))
    assert b"<b>posts" not in admin_client.get(response.url).content


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty"),
        (b"PK\x03\x04xx", "Excel workbook"),
        (b"\x1f\x8bxx", "damaged or cut off"),
        (b"[{}]", None),
        (b"\x00" * 50, None),
        (b"PAR1" + b"\xff" * 50, None),
        (b"\xff\xfe\x00", None),
        (b"{" * 5_000, None),
        (b'"' * 5_001, None),
    ],
)
def test_no_file_breaks_a_page(admin_client, study, content, words):
    response = send(admin_client, study, content)
    assert response.status_code in (302, 422)
    if words:
        assert response.status_code == 422
        assert words in text_of(response)
    if response.status_code == 302:
        assert "The file cannot be loaded like this." in text_of(admin_client.get(response.url))
    assert not Post.objects.exists()


def test_a_form_without_a_file_says_so(admin_client, study):
    response = admin_client.post(page("uploads", study))
    assert (response.status_code, "Choose a file first." in text_of(response)) == (422, True)


def test_a_file_that_is_too_large_is_refused_in_words(admin_client, study, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_BYTES", 10)
    response = send(admin_client, study)
    assert response.status_code == 422
    assert "Compress it with gzip" in text_of(response)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"languages": "english"}, "'english' is no code of a language"),
        ({"least": "9", "most": "3"}, "The greatest length is below the least one."),
        ({"least": "-1"}, "greater than or equal to 0"),
        ({"known_keys": "maybe"}, "not one of the available choices"),
        ({"source": "x" * 201}, "at most 200 characters"),
        ({"role-1": "metadata"}, "No column is the text"),
        ({"role-1": "nonsense"}, "No column is the text"),
        ({"role-0": "text"}, "have the same meaning"),
    ],
)
def test_a_wrong_entry_is_named_and_starts_nothing(admin_client, study, changes, words):
    upload = store(study)
    sent = fields_of(admin_client.get(page("upload", study, upload.pk)), **changes)
    response = admin_client.post(page("load", study, upload.pk), sent)
    assert response.status_code == 422
    assert words in text_of(response)
    assert not Job.objects.exists()


def test_a_form_of_another_layout_changes_nothing(admin_client, study):
    upload = store(study)
    sent = fields_of(admin_client.get(page("upload", study, upload.pk)), shown="other")
    before = PostUpload.objects.values().get()
    response = admin_client.post(page("load", study, upload.pk), sent, follow=True)
    assert "read in another way meanwhile" in text_of(response)
    assert PostUpload.objects.values().get() == before


def test_an_unknown_layout_is_refused(admin_client, study):
    upload = store(study)
    response = admin_client.post(
        page("layout", study, upload.pk),
        {"layout-encoding": "rot13", "layout-delimiter": "x", "layout-quotes": "?"},
    )
    assert response.status_code == 422


def test_a_live_study_wants_a_reason(admin_client):
    study = make_study(Study.State.LIVE)
    upload = store(study)
    response = admin_client.get(page("upload", study, upload.pk))
    assert "the new posts make a new version" in text_of(response)
    response = admin_client.post(page("load", study, upload.pk), fields_of(response))
    assert "say why posts are added" in text_of(response)
    response = admin_client.post(page("load", study, upload.pk), fields_of(response, reason="More."))
    work()
    assert study.posts.count() == 5


def test_a_second_click_loads_once(admin_client, study):
    upload = store(study)
    sent = fields_of(admin_client.get(page("upload", study, upload.pk)))
    for _ in range(2):
        response = admin_client.post(page("load", study, upload.pk), sent, follow=True)
    assert "nothing was changed" in text_of(response)
    assert "nothing was changed" in text_of(
        admin_client.post(page("upload", study, upload.pk), sent, follow=True)
    )
    work()
    assert study.posts.count() == 5


# --- while and after it is loaded -----------------------------------------------------------------


def test_the_progress_goes_on_until_the_page_is_told_to_look(admin_client, study):
    upload = store(study)
    job = uploads.request_load(upload)
    Job.objects.update(progress_done=1, progress_total=4, progress_note="250 rows read", state="queued")
    response = admin_client.get(page("progress", study, upload.pk))
    assert 'hx-trigger="every 2s"' in response.content.decode()
    assert "25 %" in text_of(response)
    run_here(job, poll_seconds=0)
    response = admin_client.get(page("progress", study, upload.pk))
    assert response["HX-Redirect"] == page("upload", study, upload.pk)


def test_a_failed_loading_can_be_tried_again(admin_client, study):
    upload = store(study)
    job = uploads.request_load(upload)
    Job.objects.update(state=Job.State.FAILED, error="The disk was full.", finished_at=job.created_at)
    assert "The disk was full." in text_of(admin_client.get(page("upload", study, upload.pk)))
    admin_client.post(page("again", study, upload.pk))
    work()
    assert study.posts.count() == 5
    response = admin_client.post(page("again", study, upload.pk), follow=True)
    assert "nothing to be tried again" in text_of(response)


def test_a_loading_can_be_stopped(admin_client, study):
    upload = store(study)
    uploads.request_load(upload)
    response = admin_client.post(page("reopen", study, upload.pk), follow=True)
    assert "what its columns mean" in text_of(response)
    work()
    assert not Post.objects.exists()


def test_a_refused_file_says_why_and_leads_back(admin_client, study):
    upload = load(study, b"id,text\n" + b"1,\n" * 3, roles={"id": Role.METADATA, "text": Role.TEXT})
    text = text_of(admin_client.get(page("upload", study, upload.pk)))
    assert "None of its rows makes a post" in text
    assert "Rows refused 3" in text
    response = admin_client.post(page("reopen", study, upload.pk), follow=True)
    assert "what its columns mean" in text_of(response)


def test_a_file_can_be_deleted_while_it_is_not_loaded(admin_client, study):
    upload = store(study)
    response = admin_client.post(page("discard", study, upload.pk), follow=True)
    assert "was deleted" in text_of(response)
    upload = load(study)
    response = admin_client.post(page("discard", study, upload.pk), follow=True)
    assert "undo that first" in text_of(response)
    assert study.posts.count() == 5


def test_an_upload_can_be_undone(admin_client, study):
    upload = load(study)
    response = admin_client.post(page("undo", study, upload.pk), follow=True)
    assert "5 posts of 'posts.csv' were removed" in text_of(response)
    assert not Post.objects.exists()


def test_an_undoing_that_is_refused_says_why(admin_client):
    study = make_study(Study.State.LIVE)
    upload = load(study)
    response = admin_client.post(page("undo", study, upload.pk))
    assert (response.status_code, "say why posts are removed" in text_of(response)) == (422, True)
    assert study.posts.count() == 5
    response = admin_client.post(page("undo", study, upload.pk), {"reason": "x" * 400})
    assert response.status_code == 422


def test_a_closed_study_shows_its_uploads_and_takes_none(admin_client, study):
    upload = load(study)
    Study.objects.update(state=Study.State.CLOSED)
    assert "its posts stay as they are" in text_of(admin_client.get(page("uploads", study)))
    assert send(admin_client, study, write_csv(2, begin=90)).status_code == 422
    assert "Remove these posts" not in text_of(admin_client.get(page("upload", study, upload.pk)))
    assert admin_client.post(page("undo", study, upload.pk), {"reason": "x"}).status_code == 422


def test_there_is_no_report_without_refusals(admin_client, study):
    assert admin_client.get(page("report", study, load(study).pk)).status_code == 404


# --- who may --------------------------------------------------------------------------------------


def log_in(client, study=None, role=None, **fields):
    user = get_user_model().objects.create_user("colleague", is_staff=True, **fields)
    if role:
        StudyAccess.objects.create(user=user, study=study, role=role)
    client.force_login(user)


def visit_all(client, study, upload):
    """The status of every address of an upload, by name."""
    return {
        name: (client.post if name in POSTED else client.get)(page(name, study, upload.pk)).status_code
        for name in OF_AN_UPLOAD
    } | {"uploads": client.get(page("uploads", study)).status_code, "send": send(client, study).status_code}


def test_a_stranger_is_sent_to_the_login(client, study):
    upload = store(study)
    assert set(visit_all(client, study, upload).values()) == {302}
    assert uploads.get_job(upload) is None


def test_who_has_no_access_finds_nothing(client, study):
    upload = store(study)
    log_in(client, make_study(), StudyAccess.Role.OWNER)
    assert set(visit_all(client, study, upload).values()) == {404}
    assert PostUpload.objects.get().state == State.MAPPING


def test_an_analyst_sees_the_list_and_nothing_more(client, study):
    upload = store(study)
    log_in(client, study, StudyAccess.Role.ANALYST)
    seen = visit_all(client, study, upload)
    assert seen.pop("uploads") == 200
    assert set(seen.values()) == {404}
    response = client.get(page("uploads", study))
    assert "Add posts from a file" not in text_of(response)
    assert page("upload", study, upload.pk) not in response.content.decode()


@pytest.mark.parametrize("role", [StudyAccess.Role.OWNER, StudyAccess.Role.ASSISTANT])
def test_owners_and_assistants_may_add_posts(client, study, role):
    log_in(client, study, role)
    response = send(client, study)
    assert client.get(response.url).status_code == 200


def test_an_upload_is_found_under_its_own_study_alone(admin_client, study):
    upload = store(study)
    other = make_study()
    for name in OF_AN_UPLOAD:
        call = admin_client.post if name in POSTED else admin_client.get
        assert call(page(name, other, upload.pk)).status_code == 404


def test_what_changes_something_is_never_a_mere_visit(admin_client, study):
    upload = store(study)
    for name in POSTED:
        assert admin_client.get(page(name, study, upload.pk)).status_code == 405
