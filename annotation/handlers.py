"""What a worker does for annotation: each job computes first, then writes its effect at once."""

from typing import Any

from django.contrib.auth import get_user_model

from jobs.registry import Effect, handles
from jobs.services import Claim

from .models import PostUpload
from .services import uploads
from .uploads.reading import FileRefused


@handles("load_posts")
def load_posts(claim: Claim) -> Effect | None:
    """Load one file of posts, all of it or nothing. Safe to run twice."""
    upload = PostUpload.objects.select_related("study").filter(pk=claim.payload["upload"]).first()
    if upload is None or upload.state != PostUpload.State.LOADING:
        return None
    problem = ""
    try:
        read = uploads.read_upload(upload, claim.report)
    except FileRefused as error:
        problem = str(error)
    except FileNotFoundError:
        problem = "The stored file is gone; upload it again."

    def store() -> dict[str, Any]:
        if problem:
            return uploads.refuse_upload(upload, problem)
        with read.posts:
            actor = get_user_model().objects.filter(pk=claim.payload["actor"]).first()
            return uploads.store_posts(read, actor=actor, reason=claim.payload["reason"])

    return store
