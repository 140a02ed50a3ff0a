"""`manage.py load_study SLUG (--ratings FILE --scale MIN MAX [--posts FILE] ... | --export FILE)`"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from modeling.errors import ImportRefused
from modeling.export.loading import read_export
from modeling.imports import StudyImport, read_study
from modeling.loading import Loading, load_study

SHOWN_FAULTS = 50
FILES = {
    "ratings": "CSV with rater_id, post_id (or item_id), value (or dimension), rating",
    "posts": "CSV with post_id (or item_id) and, where there are any, text, context_kind, context_text",
    "raters": "CSV with rater_id and what is known of the raters",
    "calibration": "CSV like the ratings: every rater's answers about posts that the ratings leave out",
}


class Command(BaseCommand):
    help = "Load ratings gathered elsewhere as a study of their own: all or nothing, and again without harm."

    def add_arguments(self, parser):
        parser.add_argument("study", help="slug of the study to be")
        for role, meaning in FILES.items():
            parser.add_argument(f"--{role}", type=Path, metavar="FILE", help=meaning)
        parser.add_argument(
            "--scale",
            type=int,
            nargs=2,
            metavar=("MIN", "MAX"),
            help="ends of the rating scale",
        )
        parser.add_argument(
            "--text-column", default="", metavar="NAME", help="the posts' column of texts, when not 'text'"
        )
        parser.add_argument(
            "--export", type=Path, metavar="FILE", help="archive of an export, in place of all of the above"
        )
        parser.add_argument(
            "--name", default="", help="the study's name; when left out that of the export, else its slug"
        )
        parser.add_argument(
            "--replace",
            action="store_true",
            help="put it in the place of an earlier import with other content",
        )

    def handle(
        self,
        *args,
        study: str,
        scale: list[int] | None,
        text_column: str,
        export: Path | None,
        name: str,
        replace: bool,
        **options,
    ):
        paths = {role: options[role] for role in FILES if options[role] is not None}
        if export and (paths or scale or text_column):
            raise CommandError(
                "--export holds everything: leave out the other files, --scale and --text-column."
            )
        if not export and not ("ratings" in paths and scale):
            raise CommandError("Give --ratings and --scale, or the archive of an export by --export.")
        try:
            if export:
                paths = {"export": export}
                data, exported_name = read_export(export)
                name = name or exported_name
            else:
                data = read_study(scale=(scale[0], scale[1]), text_column=text_column, **paths)
            found, outcome = load_study(
                study,
                data,
                files=[describe_file(role, path) for role, path in paths.items()],
                name=name,
                replace=replace,
            )
        except ImportRefused as error:
            raise CommandError(describe_faults(error.faults)) from error
        if outcome == Loading.UNCHANGED:
            kept = f" It keeps the name '{found.name}'." if name not in ("", found.name) else ""
            self.stdout.write(f"Study '{study}': already loaded, nothing changed.{kept}")
        else:
            self.stdout.write(f"Study '{study}' is {'loaded' if outcome == Loading.NEW else 'replaced'}.")
        for line in describe(data):
            self.stdout.write(f"  {line}")
        self.stdout.write(f"Next: manage.py fit {study}, then manage.py evaluate {study}")


def describe_file(role: str, path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return {"role": role, "name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def describe_faults(faults: list[str]) -> str:
    left = len(faults) - SHOWN_FAULTS
    return "\n".join(
        [
            f"Nothing was loaded: {len(faults):,} {'fault' if len(faults) == 1 else 'faults'}.",
            *faults[:SHOWN_FAULTS],
            *([f"... and {left:,} more"] if left > 0 else []),
        ]
    )


def describe(data: StudyImport) -> Iterator[str]:
    """What was loaded, what is missing in it and what was left aside."""
    n_posts = len(data.posts)
    yield f"raters: {len(data.rater_ids):,}"
    yield f"posts: {n_posts:,} ({data.n_texts:,} with text, {n_posts - data.n_texts:,} without)"
    if data.n_unrated_posts:
        yield f"posts that nobody rated: {data.n_unrated_posts:,}"
    names = ", ".join(value.name for value in data.values[:20])
    yield f"values: {len(data.values):,} ({names}{', ...' if len(data.values) > 20 else ''})"
    yield f"annotations: {data.n_annotations:,}"
    yield f"ratings: {len(data.ratings):,} on the scale {data.scale[0]} to {data.scale[1]}"
    yield f"gaps (values left out in a rated post): {data.n_gaps:,}"
    if data.questions:
        yield (
            f"calibration: {len(data.questions):,} questions, {len(data.answers):,} answers, "
            f"{data.n_missing_answers:,} missing"
        )
    if data.rater_columns:
        yield (
            f"known of the raters: {', '.join(name for _, name in data.rater_columns)}; "
            f"{len(data.rater_ids) - len(data.rater_answers):,} raters are not in the file, "
            f"{data.n_unknown_raters:,} of the file rated nothing"
        )
    for note in data.notes:
        yield f"note: {note}"
