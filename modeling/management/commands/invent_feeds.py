"""`manage.py invent_feeds FILE [--rows 20000] [--owners 60] [--seed 1] [--truth FILE]`"""

import csv
import json
from pathlib import Path

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from modeling.progress import Progress
from modeling.simulation.feeds import FeedWriter

COLUMNS = (
    "key",
    "text",
    "owner",
    "group",
    "source",
    "context_kind",
    "context_text",
    "in_reply_to",
    "language",
    "visibility",
)
MOST_ROWS = 1_000_000


class Command(BaseCommand):
    help = "Write a file of invented feeds, to rehearse a curation with: no post and no person in it is real."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, help="CSV file to write")
        parser.add_argument("--rows", type=int, default=20_000, help="places of posts in feeds")
        parser.add_argument("--owners", type=int, default=60, help="people whose feeds they are")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--truth", type=Path, help="JSON Lines file for what each post really is")

    def handle(self, *args, file: Path, rows: int, owners: int, seed: int, truth: Path | None, **options):
        if not 1 <= rows <= MOST_ROWS or owners < 1 or seed < 0:
            raise CommandError(
                f"It takes 1 to {MOST_ROWS:,} rows, 1 owner at least, and a seed of 0 or more."
            )
        writer = FeedWriter(owners, np.random.default_rng(seed))
        show = Progress(self.stdout, "Rows")
        truths: dict[str, dict] = {}
        try:
            with file.open("w", newline="", encoding="utf-8") as target:
                table = csv.DictWriter(target, COLUMNS)
                table.writeheader()
                for number, row in enumerate(writer.write(rows), start=1):
                    table.writerow(row.cells)
                    truths[row.truth["key"]] = row.truth
                    show(number, rows)
            if truth:
                with truth.open("w", encoding="utf-8") as target:
                    target.writelines(json.dumps(each) + "\n" for each in truths.values())
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be written: {error.strerror}.") from error
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{rows:,} places of {len(truths):,} posts in the feeds of {owners:,} owners: {file}"
        )
