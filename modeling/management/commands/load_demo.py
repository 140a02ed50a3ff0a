"""`manage.py load_demo`"""

from django.core.management.base import BaseCommand

from modeling.demo import load_demo_study


class Command(BaseCommand):
    help = "Load the demonstration study: invented posts, the 19 Schwartz values, a questionnaire of 25 questions."

    def handle(self, *args, **options):
        study, is_new = load_demo_study()
        n_posts = study.posts.count()
        self.stdout.write(
            f"Loaded study '{study.slug}' with {n_posts} posts."
            if is_new
            else f"Study '{study.slug}' is there already, with {n_posts} posts; nothing was changed."
        )
