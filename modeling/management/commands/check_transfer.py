"""`manage.py check_transfer STUDY --soft-labels NAME --by COLUMN [--train SOURCE --test SOURCE]`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.selectors import get_tree
from modeling.errors import TuningRefused
from modeling.models import Report
from modeling.reporting.subjects import get_report
from modeling.reports.encoder_tables import say_transfer
from modeling.transfer.asking import add_encoder_arguments, do, find_soft_labels, find_study, read_encoder
from modeling.transfer.services import create_check, name_subject
from modeling.transfer.settings import CheckSettings, suggest_threshold


class Command(BaseCommand):
    help = "Teach encoders the posts of one source, judge them on another's, and tell what is lost there."

    def add_arguments(self, parser):
        add_encoder_arguments(parser)
        parser.add_argument(
            "--by",
            required=True,
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

    def handle(self, *args, study: str, soft_labels: str, queue: bool, **options):
        found = find_study(study)
        made = find_soft_labels(found, soft_labels)
        scale = get_tree(found.value_system).scale
        threshold = options["threshold"]
        try:
            settings = CheckSettings(
                by=options["by"],
                threshold=suggest_threshold(scale.min, scale.max) if threshold is None else threshold,
                train_on=options["train"],
                test_on=options["test"],
                fewest_posts=options["fewest"],
                test_share=options["test_share"],
                encoder=read_encoder(options),
            )
            check = create_check(found, made, settings)
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
