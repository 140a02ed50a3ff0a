"""`manage.py derive_vcq STUDY [--method METHOD] [--questions N] [--compare] [--into OTHER] [--csv FILE] ...`"""

import argparse
import csv
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import Refused
from annotation.models import Study
from calibration.derivation_pages import tabulate
from calibration.deriving import METHOD_LABELS, DerivationSettings, describe_origin, list_questions
from calibration.prestudy import derive_questions
from calibration.services import replace_vcq

BAR = 40
COLUMNS = ("position", "post", "value", "criterion", "captured")


class Command(BaseCommand):
    help = "Choose calibration questions from a dense pre-study, and let another study ask them."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the pre-study's slug")
        parser.add_argument("--method", choices=METHOD_LABELS, default="eigenrater")
        parser.add_argument("--questions", type=int, default=25, help="how many (default: 25)")
        parser.add_argument("--most-per-post", type=int, help="at most so many about one post")
        parser.add_argument("--every-value", action=argparse.BooleanOptionalAction, default=False)
        parser.add_argument(
            "--leave-out-incomplete", action="store_true", help="leave out raters who did not rate everything"
        )
        parser.add_argument(
            "--compare",
            action="store_true",
            help="compare the methods on held-out raters and posts (minutes)",
        )
        parser.add_argument("--seed", type=int, help="of the comparison; the study's when left out")
        parser.add_argument("--into", help="slug of the study that is to ask the questions")
        parser.add_argument("--dry-run", action="store_true", help="change no study")
        parser.add_argument("--csv", type=Path, help="write the questions to this file")

    def handle(self, *args, study: str, into: str | None, dry_run: bool, **options):
        source = self._get_study(study)
        target = self._get_study(into) if into else None
        settings = DerivationSettings(
            method=options["method"],
            n_questions=options["questions"],
            most_per_post=options["most_per_post"],
            every_value=options["every_value"],
            leave_out_incomplete=options["leave_out_incomplete"],
            compare=options["compare"],
            seed=source.seed if options["seed"] is None else options["seed"],
        )
        try:
            result = derive_questions(source, settings)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._show(result)
        if result["comparison"]:
            self._show_comparison(result["comparison"])
        if options["csv"]:
            self._write_csv(options["csv"], result)
        if target and dry_run:
            self.stdout.write(f"Nothing was changed: study '{target.slug}' asks what it asked.")
        elif target:
            try:
                n_copied = replace_vcq(target, source, list_questions(result), origin=describe_origin(result))
            except Refused as error:
                raise CommandError(str(error)) from error
            self.stdout.write(
                f"Study '{target.slug}' asks these {len(result['questions'])} questions now; {n_copied} posts were "
                "copied into it."
            )

    def _get_study(self, slug: str) -> Study:
        found = Study.objects.filter(slug=slug).first()
        if found is None:
            raise CommandError(f"There is no study '{slug}'.")
        return found

    def _show(self, result: dict[str, Any]) -> None:
        left_out = f"; {result['n_left_out']} incomplete left out" if result["n_left_out"] else ""
        self.stdout.write(
            f"{result['n_raters']} raters, {result['n_posts']} posts, {result['n_values']} values{left_out}.\n\n"
            "Variance along the eigenraters"
        )
        shares = [question["explained"] for question in result["questions"]]
        for axis, share in enumerate(shares, start=1):
            bar = "#" * max(1, round(BAR * share / shares[0]))
            self.stdout.write(f"{axis:4d}  {share:6.1%}  {bar}")
        self.stdout.write(
            f"{len(shares)} of {len(result['scree'])} axes: {result['explained_in_all']:.1%}\n\n"
            f"Questions by '{result['method']}' ({result['criterion']}; variance captured so far)"
        )
        for position, question in enumerate(result["questions"], start=1):
            self.stdout.write(
                f"{position:4d}  {question['criterion']:8.4f}  {question['captured']:6.1%}  {question['post']} / "
                f"{question['value']}"
            )

    def _show_comparison(self, comparison: dict[str, Any]) -> None:
        table = tabulate(comparison)
        self.stdout.write(
            f"\nHeld-out raters on held-out posts. The consensus alone: rho {table['consensus_rho']}, error "
            f"{table['consensus_error']}. {table['n_undefined']} pairs of rater and post have no rho."
        )
        for method, n_questions, gain, error in table["rows"]:
            self.stdout.write(f"{method:>10} {n_questions:3d}  gain {gain}  error {error}")
        for verdict in table["verdicts"]:
            self.stdout.write(verdict)

    def _write_csv(self, path: Path, result: dict[str, Any]) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            for position, question in enumerate(result["questions"], start=1):
                writer.writerow({"position": position, **question})
        self.stdout.write(f"Written to {path}.")
