"""`manage.py check_transfer STUDY (--soft-labels NAME --by COLUMN [--train SOURCE ...] | --resume NUMBER)`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from annotation.selectors import get_tree
from modeling.errors import TuningRefused
from modeling.models import Report, TransferCheck
from modeling.reporting.subjects import get_report
from modeling.reports.encoder_tables import say_transfer
from modeling.transfer.asking import (
    add_encoder_arguments,
    do,
    find_soft_labels,
    find_study,
    let_go_on,
    read_encoder,
)
from modeling.transfer.services import create_check, name_subject
from modeling.transfer.settings import CheckSettings, suggest_threshold


class Command(BaseCommand):
    help = "Teach encoders the posts of one source, judge them on another's, and tell what is lost there."

    def add_arguments(self, parser):
        add_encoder_arguments(parser)
        parser.add_argument(
            "--by",
            metavar="COLUMN",
            help="what tells sources apart: a column of the posts' metadata, or 'language', which is detected where "
            "the posts have no such column",
        )
        parser.add_argument(
            "--train", default="", metavar="SOURCE", help="the one taught; every pair without"
        )
        parser.add_argument("--test", default="", metavar="SOURCE", help="the one judged on")
        parser.add_argument("--fewest", type=int, default=50, help="posts that a source must have (50)")
        parser.add_argument("--test-share", type=float, default=0.3, help="held out of each source (0.3)")

    def handle(self, *args, study: str, queue: bool, **options):
        found = find_study(study)
        try:
            if options["resume"] is not None:
                stopped = TransferCheck.objects.filter(study=found, pk=options["resume"]).first()
                check = let_go_on(stopped, study, options["resume"])
            else:
                check = self._ask(found, options)
        except (TuningRefused, ValueError) as error:
            raise CommandError(str(error)) from error
        if not do(check, self.stdout, "Checking transfer", queue=queue):
            return
        report = get_report(found, Report.Kind.TRANSFER, name_subject(check))
        if report:
            for note in report.measures["notes"]:
                self.stdout.write(note)
            for sentence in say_transfer(report.measures):
                self.stdout.write(f"  {sentence}")

    def _ask(self, study: Study, options) -> TransferCheck:
        if not options["by"]:
            raise CommandError("Say by --by what tells sources apart.")
        made = find_soft_labels(study, options["soft_labels"])
        scale = get_tree(study.value_system).scale
        threshold = options["threshold"]
        settings = CheckSettings(
            by=options["by"],
            threshold=suggest_threshold(scale.min, scale.max) if threshold is None else threshold,
            train_on=options["train"],
            test_on=options["test"],
            fewest_posts=options["fewest"],
            test_share=options["test_share"],
            encoder=read_encoder(options),
        )
        return create_check(study, made, settings)
