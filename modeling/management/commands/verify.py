"""`manage.py verify STUDY --rules FILE|NAME --run PK [--others PK ...] [--set NAME] [--report] [--export FILE]`"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.errors import Refused
from annotation.models import Study
from jobs.services import run_here
from modeling.models import AnnotatorRun, ExpertSet, Report, RuleSet, Verification
from modeling.progress import Progress
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.names import SAYS_STANDIN
from modeling.rules.reading import RulesRefused, load_json
from modeling.verifying.exporting import write_decisions
from modeling.verifying.services import (
    cancel_verification,
    create_verification,
    find_twin,
    save_rule_set,
    start_verification,
)

from .errors import do


class Command(BaseCommand):
    help = (
        "Hold verification rules against every post that a run has read, and put those that they flag into a queue for "
        "experts. With --verification, go on with one that is there, or report and export what was decided."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's slug")
        parser.add_argument(
            "--rules", help="a JSON file, stored as the next version, or the name of stored rules"
        )
        parser.add_argument("--name", help="of rules from a file; the file's own name when left out")
        parser.add_argument("--note", default="", help="what was changed in the rules, and why")
        parser.add_argument("--run", type=int, metavar="PK", help="whose readings are verified")
        parser.add_argument(
            "--others", type=int, nargs="+", default=[], metavar="PK", help="runs it is held against"
        )
        parser.add_argument(
            "--set", metavar="NAME", help="expert set whose reference tells what decisions are worth"
        )
        parser.add_argument("--threshold", type=int, help="from which rating on a value counts as expressed")
        parser.add_argument("--verification", type=int, metavar="PK", help="one that is there")
        parser.add_argument(
            "--report", action="store_true", help="measure the rules by what was decided so far"
        )
        parser.add_argument(
            "--export", type=Path, metavar="FILE", help="write the queue with all decisions as CSV"
        )

    def handle(self, *args: Any, study: str, **options: Any) -> None:
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        try:
            verification = self._get(found, options)
            if verification.is_standin:
                self.stdout.write(SAYS_STANDIN)
            if verification.state != Verification.State.DONE:
                self._make_queue(verification)
        except (Refused, RulesRefused) as error:
            raise CommandError(str(error)) from error
        self._tell(verification)
        if options["report"]:
            self._report(found, verification)
        if options["export"]:
            self._export(verification, options["export"])

    def _get(self, study: Study, options: dict[str, Any]) -> Verification:
        if options["verification"]:
            verification = study.verifications.filter(pk=options["verification"]).first()
            if verification is None:
                raise CommandError(f"Study '{study.slug}' has no verification {options['verification']}.")
            return verification
        if not options["rules"] or not options["run"]:
            raise CommandError("Say what to hold against what: --rules and --run; or --verification.")
        runs = _find_runs(study, [options["run"], *options["others"]])
        return create_verification(
            _get_rules(study, options),
            runs[0],
            other_runs=runs[1:],
            expert_set=_find_set(study, options["set"]),
            threshold=options["threshold"],
        )

    def _make_queue(self, verification: Verification) -> None:
        self.stdout.write(
            f"Verification {verification.pk}: {verification.rule_set}, run {verification.run_id}."
        )
        try:
            progress = Progress(self.stdout, "Holding rules against posts")
            job = run_here(start_verification(verification), on_progress=progress.show_job)
        except KeyboardInterrupt:
            cancel_verification(verification)
            raise CommandError(
                f"Cancelled. What is done stays done; go on with --verification {verification.pk}."
            ) from None
        verification.refresh_from_db()
        if verification.state != Verification.State.DONE:
            raise CommandError(f"The queue could not be made: {job.error or job.state}")

    def _tell(self, verification: Verification) -> None:
        counts = verification.counts
        self.stdout.write(
            f"{counts['n_any']:,} of {counts['n_posts']:,} posts flagged; {counts['n_unread']:,} without a reading, "
            f"{counts['n_test']:,} test posts left out."
        )
        for rule in verification.rule_set.rules:
            found = counts["rules"][rule["key"]]
            self.stdout.write(
                f"  {rule['key']}: {found['n_flagged']:,} flagged, {found['n_undecided']:,} unknown"
            )
        self.stdout.write(f"Corpus {verification.corpus_sha256}, rules {verification.rule_set.digest}.")
        if twin := find_twin(verification):
            self.stdout.write(
                f"The same rules were held against the very same corpus before: verification {twin.pk}."
            )

    def _report(self, study: Study, verification: Verification) -> None:
        subject = name_subject(verification=verification.pk)
        do(self, request_report(study, Report.Kind.VERIFICATION, subject), "Measuring")
        measures = get_report(study, Report.Kind.VERIFICATION, subject).measures
        self.stdout.write(
            f"{measures['n_decided']:,} of {measures['n_flagged']:,} flagged posts decided, "
            f"{measures['n_corrected']:,} corrected, {measures['n_only_unsure']:,} unsure."
        )
        for rule in measures["rules"]:
            precision = "no precision" if rule["precision"] is None else f"precision {rule['precision']:.3f}"
            if rule["interval"][0] is not None:
                precision += f" ({rule['interval'][0]:.3f} to {rule['interval'][1]:.3f})"
            reason = f" ({rule['precision_reason']})" if rule["precision_reason"] else ""
            self.stdout.write(
                f"  {rule['key']}: {rule['load'] or 0:.1f} per 1,000 posts, {precision}{reason}; "
                f"macro F1 {_tell_change(rule['effect'])}"
            )
        self.stdout.write(f"All rules together: macro F1 {_tell_change(measures['effect'])}")

    def _export(self, verification: Verification, path: Path) -> None:
        try:
            with path.open("w", encoding="utf-8-sig", newline="") as file:
                file.writelines(write_decisions(verification))
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from error
        self.stdout.write(f"Written to {path}.")


def _get_rules(study: Study, options: dict[str, Any]) -> RuleSet:
    path = Path(options["rules"])
    if path.is_file():
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read as UTF-8: {error}") from error
        return save_rule_set(
            study, name=options["name"] or path.stem, rules=load_json(text), note=options["note"]
        )
    stored = study.rule_sets.filter(name=options["rules"]).order_by("-number").first()
    if stored is None:
        names = ", ".join(sorted(set(study.rule_sets.values_list("name", flat=True)))) or "none"
        raise CommandError(f"'{options['rules']}' is neither a file nor stored rules. Stored: {names}.")
    return stored


def _find_runs(study: Study, numbers: list[int]) -> list[AnnotatorRun]:
    found = AnnotatorRun.objects.filter(annotator__study=study).select_related("annotator").in_bulk(numbers)
    if strangers := [str(number) for number in numbers if number not in found]:
        raise CommandError(f"Study '{study.slug}' has no run {', '.join(strangers)}.")
    return [found[number] for number in numbers]


def _find_set(study: Study, name: str | None) -> ExpertSet | None:
    if name is None:
        return None
    found = study.expert_sets.filter(name=name).first()
    if found is None:
        raise CommandError(f"Study '{study.slug}' has no expert set '{name}'.")
    return found


def _tell_change(effect: dict[str, Any]) -> str:
    if effect["difference"] is None:
        return f"not measured: {effect['reason']}"
    low, high = effect["interval"]
    span = "" if low is None else f" ({low:+.3f} to {high:+.3f})"
    return f"{effect['difference']:+.3f}{span}{'; ' + effect['reason'] if effect['reason'] else ''}"
