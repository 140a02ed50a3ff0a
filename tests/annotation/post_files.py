"""Files of posts and their ways into a study, for the tests of uploads."""

from django.core.files.base import ContentFile

from annotation.models import Study
from annotation.services import uploads
from jobs.services import run_here
from tests.factories import StudyFactory

WORDS = {
    "en": "We should look after one another whatever the neighbours say, number {}.",
    "de": "Wir sollten aufeinander achten, was auch immer die Nachbarn sagen, Nummer {}.",
}


def make_study(state=Study.State.DRAFT, **fields):
    return StudyFactory(state=state, posts=0, questions=0, **fields)


def write_csv(n=5, language="en", begin=1):
    lines = [f'p{i},"{WORDS[language].format(i)}",home,{i}' for i in range(begin, begin + n)]
    return "\n".join(["id,text,feed,likes", *lines, ""]).encode()


def store(study, content=None, name="posts.csv", **options):
    """Keep a file as somebody's upload would."""
    return uploads.store_upload(
        study, ContentFile(write_csv() if content is None else content, name=name), **options
    )


def load(study, content=None, *, reason="More are needed.", **description):
    """Keep a file and load it; returns the upload as it is then."""
    upload = uploads.describe_upload(store(study, content), **description)
    run_here(uploads.request_load(upload, reason=reason), poll_seconds=0)
    upload.refresh_from_db()
    return upload
