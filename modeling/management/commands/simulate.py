"""`manage.py simulate STUDY --raters N [--direct] [--at-once N] [--url URL]`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import StudyClosed
from annotation.models import Study
from modeling.progress import Progress
from modeling.simulated_raters import Cast, walk_directly, walk_over_http
from modeling.simulation.page import PageError


class Command(BaseCommand):
    help = "Let simulated raters take part in a study, through its served pages or directly."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        parser.add_argument("--raters", type=int, required=True, help="how many there shall be in all")
        parser.add_argument("--direct", action="store_true", help="through the services, without pages")
        parser.add_argument("--at-once", type=int, default=4, help="how many walk at once over HTTP (4)")
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the pages are served")

    def handle(self, *args, study: str, raters: int, direct: bool, at_once: int, url: str, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        if raters < 1 or at_once < 1:
            raise CommandError("--raters and --at-once must be 1 or more.")
        cast = Cast(found)
        numbers = cast.list_unfinished(raters)
        if not numbers:
            self.stdout.write(f"All {raters} simulated raters have finished already.")
            return
        progress = Progress(self.stdout, "Simulated raters")
        try:
            if direct:
                walk_directly(cast, numbers, on_progress=progress)
            else:
                walk_over_http(cast, numbers, url, at_once=at_once, on_progress=progress)
        except StudyClosed as error:
            raise CommandError(f"Study '{study}' is not live, so it takes nobody in.") from error
        except OSError as error:
            raise CommandError(f"No answer from {url} ({error}); is the study served there?") from error
        except PageError as error:
            raise CommandError(f"A simulated rater cannot go on: {error}") from error
        self.stdout.write(
            f"{len(numbers)} simulated raters took part; they are marked as simulated for ever."
        )
