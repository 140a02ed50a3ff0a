"""Posts in other words: from a file, for models only. A web process may import it."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from annotation.errors import Refused
from annotation.models import Post, Study, StudyEvent
from annotation.services.audit import log_event
from annotation.uploads.reading import FileRefused, Row, Table, sniff
from modeling.annotators.runs import create_run
from modeling.annotators.selecting import chosen_posts
from modeling.errors import ImportRefused
from modeling.export.cells import clean, guard, unguard
from modeling.models import AnnotatorRun, ExpertItem, ExpertSet, ModelReading, Paraphrase

POST, TEXT, CONTEXT = "post", "text", "context"
READ, PASSED_OVER = (
    (POST, TEXT, CONTEXT),
    ("original", "original_context"),
)  # columns; the latter a template adds
MARK = "~p"  # between a post's key and the number of its paraphrase
LONGEST_TEXT = 20_000
LONGEST_KEY = 200
KEYS_AT_ONCE = 5_000
BATCH = 1_000


@dataclass(frozen=True)
class ParaphraseCounts:
    """What became of a file: paraphrases added, of how many posts; those there already; lines without a text."""

    n_new: int
    n_posts: int
    n_known: int
    n_empty: int

    def list_sentences(self) -> list[str]:
        """Return what was done, in words."""
        told = [f"{self.n_new:,} paraphrases added, of {self.n_posts:,} posts."]
        told += [f"{self.n_known:,} were there already, word for word."] if self.n_known else []
        return told + ([f"{self.n_empty:,} lines without a text were passed over."] if self.n_empty else [])


def import_paraphrases(study: Study, file: BinaryIO, *, user: Any = None) -> ParaphraseCounts:
    """Store the paraphrases of a file: columns post (a key), text and, if wanted, context; one line for each.

    A paraphrase has the context of its original unless the file gives one. The file is taken whole or not at all.

    Raises
    ------
    ImportRefused
        With every fault and its line: columns that are missing or unknown, posts that the study does not have or that
        are paraphrases themselves, texts too long, said twice or the same as the original.
    """
    lines, n_empty, faults = _read(file)
    originals = _find_posts(study, {key for _, key, _, _ in lines})
    known: dict[tuple[int, str, str], int] = {}
    last: Counter[int] = Counter()
    for pk, number, text, context in Paraphrase.objects.filter(original__in=originals.values()).values_list(
        "original", "number", "variant__text", "variant__context_text"
    ):
        known[pk, text, context] = 0
        last[pk] = max(last[pk], number)
    drafts, n_known = [], 0
    for line, key, text, context in lines:
        post = originals.get(key)
        if post is None:
            faults.append((line, f"the study has no post '{key:.80}' of which a paraphrase can be made"))
            continue
        if context and not post.context_kind:
            faults.append(
                (line, f"post '{key:.80}' replies to nothing and quotes nothing; leave its context empty")
            )
            continue
        context = context or post.context_text
        if (text, context) == (post.text, post.context_text):
            faults.append((line, f"this is the text of post '{key:.80}' itself; write it in other words"))
            continue
        earlier = known.get((post.pk, text, context))
        if earlier:
            faults.append((line, f"line {earlier:,} has the same text for the same post"))
            continue
        known[post.pk, text, context] = line
        if earlier == 0:
            n_known += 1
            continue
        last[post.pk] += 1
        name = f"{key}{MARK}{last[post.pk]}"
        if len(name) > LONGEST_KEY:
            faults.append(
                (line, f"the key of the paraphrase, '{name:.80}…', would be longer than {LONGEST_KEY}")
            )
        drafts.append((line, post, last[post.pk], name, text, context))
    taken = _find_posts(study, {draft[3] for draft in drafts}, any_purpose=True)
    faults += [
        (draft[0], f"the study has another post with the key '{draft[3]:.80}'")
        for draft in drafts
        if draft[3] in taken
    ]
    if not lines and not faults:
        faults.append((0, "The file holds no paraphrase"))
    if faults:
        raise ImportRefused(
            [
                f"{f'Line {line:,}: ' if line else ''}{fault.removesuffix('.')}."
                for line, fault in sorted(faults)
            ]
        )
    return _store(study, drafts, n_known, n_empty, user)


@transaction.atomic
def _store(
    study: Study,
    drafts: list[tuple[int, Post, int, str, str, str]],
    n_known: int,
    n_empty: int,
    user: Any,
) -> ParaphraseCounts:
    posts = Post.objects.bulk_create(
        (
            Post(
                study=study,
                key=key,
                purpose=Post.Purpose.PARAPHRASE,
                text=text,
                context_kind=original.context_kind,
                context_text=context,
            )
            for _, original, _, key, text, context in drafts
        ),
        batch_size=BATCH,
    )
    Paraphrase.objects.bulk_create(
        (
            Paraphrase(original=original, variant=post, number=number)
            for post, (_, original, number, *_) in zip(posts, drafts, strict=True)
        ),
        batch_size=BATCH,
    )
    counts = ParaphraseCounts(len(drafts), len({draft[1].pk for draft in drafts}), n_known, n_empty)
    if drafts:
        log_event(
            study,
            StudyEvent.Action.CHANGED,
            f"Added {counts.n_new:,} paraphrases of {counts.n_posts:,} posts, for models to read.",
            actor=user,
            detail={"paraphrases": counts.n_new, "posts": counts.n_posts},
        )
    return counts


def write_template(expert_set: ExpertSet) -> Iterator[str]:
    """Yield the lines of a file to fill in: each development post of a set with an empty place for its paraphrase."""
    yield _write_line([POST, "original", "original_context", TEXT, CONTEXT])
    items = ExpertItem.objects.filter(expert_set=expert_set, split=ExpertItem.Split.DEVELOPMENT)
    rows = items.order_by("position").values_list("post__key", "post__text", "post__context_text")
    for cells in rows.iterator(chunk_size=BATCH):
        yield _write_line([*(guard(clean(cell)) for cell in cells), "", ""])


def find_variants(expert_set: ExpertSet) -> QuerySet[Paraphrase]:
    """Return the paraphrases of a set's development posts."""
    items = ExpertItem.objects.filter(expert_set=expert_set, split=ExpertItem.Split.DEVELOPMENT)
    return Paraphrase.objects.filter(original__in=items.values("post"))


def list_variant_runs(expert_set: ExpertSet, run: AnnotatorRun) -> QuerySet[AnnotatorRun]:
    """Return the finished runs of a run's own annotator model over paraphrases of a set, newest first."""
    readings = ModelReading.objects.filter(
        run=OuterRef("pk"), post__in=find_variants(expert_set).values("variant")
    )
    return AnnotatorRun.objects.filter(
        Exists(readings),
        annotator=run.annotator_id,
        curation=None,
        is_preview=False,
        state=AnnotatorRun.State.DONE,
    ).order_by("-created_at", "-pk")


def prepare_variant_run(
    expert_set: ExpertSet, run: AnnotatorRun, *, budget: Decimal | None = None, user: Any = None
) -> AnnotatorRun:
    """Store a run of the same annotator model over the paraphrases of a set's development posts, not started.

    Raises Refused where there is no paraphrase.
    """
    ids = list(find_variants(expert_set).order_by("variant").values_list("variant", flat=True))
    if not ids:
        raise Refused("No development post of this set has a paraphrase yet. Add some from a file first.")
    return create_run(run.annotator, selection=chosen_posts(ids), budget=budget, user=user)


def _read(file: BinaryIO) -> tuple[list[tuple[int, str, str, str]], int, list[tuple[int, str]]]:
    """Return (line, key, text, context) of each line that has a text, how many have none, and faults."""
    lines: list[tuple[int, str, str, str]] = []
    faults: list[tuple[int, str]] = []
    n_empty, columns = 0, {}
    try:
        table = Table(file, sniff(file))
        for row in table.rows():
            if not columns:
                columns = {column.strip().casefold(): column for column in table.columns}
                if faults := _find_column_faults(columns):
                    break
            if row.fault:
                faults.append((row.line, row.fault))
                continue
            key, text, context = (_get(row, columns.get(name)) for name in READ)
            if not text.strip():
                n_empty += 1
            elif not key:
                faults.append((row.line, "the post is empty; give its key"))
            elif max(len(text), len(context)) > LONGEST_TEXT:
                faults.append((row.line, f"the text is longer than {LONGEST_TEXT:,} characters; shorten it"))
            elif clean(text + context) != text + context:
                faults.append((row.line, "the text holds a character that cannot be stored; remove it"))
            else:
                lines.append((row.line, key, text.strip(), context.strip()))
    except FileRefused as refusal:
        faults.append((refusal.line, str(refusal)))
    return lines, n_empty, faults


def _find_column_faults(columns: dict[str, str]) -> list[tuple[int, str]]:
    faults = [(1, f"there is no column '{name}'; name it so") for name in (POST, TEXT) if name not in columns]
    strangers = [column for name, column in columns.items() if name not in (*READ, *PASSED_OVER)]
    return faults + [(1, f"column '{name:.80}' is not known; remove it") for name in strangers]


def _get(row: Row, column: str | None) -> str:
    found = None if column is None else row.cells.get(column)
    return "" if found is None else unguard(str(found))


def _find_posts(study: Study, keys: set[str], *, any_purpose: bool = False) -> dict[str, Post]:
    """Return the posts of these keys; unless any will do, those that are no paraphrase themselves."""
    found: dict[str, Post] = {}
    wanted = sorted(keys)
    for first in range(0, len(wanted), KEYS_AT_ONCE):
        posts = study.posts.filter(key__in=wanted[first : first + KEYS_AT_ONCE])
        if not any_purpose:
            posts = posts.exclude(purpose=Post.Purpose.PARAPHRASE).exclude(text="")
        found |= {post.key: post for post in posts.defer("metadata")}
    return found


def count_paraphrased(expert_set: ExpertSet) -> tuple[int, int]:
    """Return how many paraphrases a set's development posts have, and of how many posts."""
    found = find_variants(expert_set)
    return found.count(), found.values(post=F("original")).distinct().count()


def _write_line(cells: list[str]) -> str:
    file = io.StringIO()
    csv.writer(file).writerow(cells)
    return file.getvalue()
