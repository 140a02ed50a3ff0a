"""Frozen versions of a study: what raters met, under a number and a hash, and how two of them differ."""

import hashlib
import json
import subprocess
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction

from annotation.changes import Change, compare_files, compare_posts
from annotation.models import Post, Study, StudyEvent, StudyVersion
from annotation.services.audit import log_event
from annotation.studyfile.writing import describe_posts, dump

CODE_VERSION = "0.1.0"
MOST_NAMED = 20


@cache
def get_code_version() -> str:
    """Return the version of the code, with the commit where it runs from a checkout."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return CODE_VERSION
    return f"{CODE_VERSION}+{commit}"


@transaction.atomic
def freeze(study: Study, *, actor: Any = None, reason: str = "") -> StudyVersion:
    """Return the version of the study as it is in the database now, making it if the current one is another.

    What is frozen: the study as in its file, without completion codes; the SHA-256 of each post to label; the
    version of the code. Holds the study's row, so two processes that freeze at once make one version.

    Parameters
    ----------
    study : whose version; its `current_version` is brought up to date
    actor : the account that does it; None for a command
    reason : why, for whoever reads the versions later

    Raises
    ------
    annotation.studyfile.StudyFileError
        If the study's value system is not complete.
    """
    stored = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    content = dump(stored, codes=False, posts=False)
    post_digests = {post["key"]: hash_json(post) for post in describe_posts(stored, Post.Purpose.LABELING)}
    code_version = get_code_version()
    digest = compute_digest(content, post_digests, stored.value_keys, code_version)
    version = stored.current_version
    if version is None or version.digest != digest:
        version = _store_version(stored, version, digest, content, post_digests, code_version, actor, reason)
    study.current_version = version
    return version


def compute_digest(
    content: dict[str, Any], post_digests: dict[str, str], value_keys: list[str], code_version: str
) -> str:
    """Return the SHA-256 that names a version: of its content, its posts, the order of its values and the code."""
    return hash_json({"content": content, "posts": post_digests, "values": value_keys, "code": code_version})


def hash_json(data: Any) -> str:
    """Return the SHA-256 of the one way to write this data: keys in order, no spaces, UTF-8."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def note_change(study: Study, actor: Any = None, reason: str = "") -> StudyVersion | None:
    """Note that a study was changed, inside the caller's transaction and after the change.

    A study that is or was launched gets its new version, which is returned; of one that never was, the audit
    log alone says that it changed.
    """
    stored = Study.objects.only("state", "current_version", "slug").get(pk=study.pk)
    if stored.state != Study.State.DRAFT or stored.current_version_id:
        return freeze(study, actor=actor, reason=reason)
    log_event(study, StudyEvent.Action.CHANGED, "Changed before its launch.", actor=actor, reason=reason)
    return None


def freeze_after_renewal() -> int:
    """Freeze every study that runs and whose version names another software; returns how many. Safe to run twice."""
    running = (*Study.TAKES_PEOPLE, Study.State.PAUSED)
    outdated = Study.objects.filter(state__in=running, current_version__isnull=False).exclude(
        current_version__code_version=get_code_version()
    )
    for study in outdated:
        freeze(study, reason="The software was renewed.")
    return len(outdated)


def describe_changes(old: StudyVersion, new: StudyVersion) -> list[Change]:
    """Return what differs between two versions of a study, in a researcher's words, in the file's order."""
    changes = compare_files(old.content, new.content)
    changes += compare_posts(old.post_digests, new.post_digests)
    if old.code_version != new.code_version:
        changes.append(Change("Version of the software", old.code_version, new.code_version))
    return changes


def build_version_file(version: StudyVersion) -> tuple[dict[str, Any], int]:
    """Return a version as a study file, and how many of its posts it lacks.

    Codes are never in it. A post is there as long as the study still has it as it was frozen.
    """
    posts = [
        post
        for post in describe_posts(version.study, Post.Purpose.LABELING)
        if version.post_digests.get(post["key"]) == hash_json(post)
    ]
    return version.content | {"posts": posts}, len(version.post_digests) - len(posts)


def _store_version(
    study: Study,
    before: StudyVersion | None,
    digest: str,
    content: dict[str, Any],
    post_digests: dict[str, str],
    code_version: str,
    actor: Any,
    reason: str,
) -> StudyVersion:
    last = study.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = StudyVersion.objects.create(
        study=study,
        number=last + 1,
        digest=digest,
        content=content,
        post_digests=post_digests,
        code_version=code_version,
        made_by=actor.get_username() if actor else "",
        reason=reason[: StudyVersion._meta.get_field("reason").max_length],
    )
    study.current_version = version
    study.save(update_fields=["current_version"])
    changed = [change.where for change in describe_changes(before, version)] if before else []
    log_event(
        study,
        StudyEvent.Action.VERSION,
        f"Frozen as version {version.number}.",
        actor=actor,
        reason=reason,
        detail={
            "number": version.number,
            "digest": digest,
            "n_changes": len(changed),
            "changed": changed[:MOST_NAMED],
        },
    )
    return version
