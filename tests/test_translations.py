"""Catalogues that are whole, pages that speak the study's language alone, and no request that speaks another's."""

import gettext
import re
import subprocess
import sys
from html import unescape
from io import BytesIO
from pathlib import Path
from unittest.mock import Mock

import allauth
import django
import pytest
from babel.messages.pofile import read_po
from django.core.cache import caches
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from annotation import services, steps
from annotation.access import build_query
from annotation.attention.number_image import NUMBERS, NumberRiddle
from annotation.forms import ReadingForm
from annotation.models import Assignment, Enrollment, Outcome, Study
from annotation.recruitment import build_entry_path
from annotation.selectors import get_current_step
from annotation.views.number_words import NUMBER_WORDS, say_riddle
from config import translations
from modeling.simulated_raters import Cast
from modeling.simulation.browser import walk_study
from tests.factories import PostFactory, QuestionnaireFactory, StepFactory, StudyFactory, load_ten
from tests.visitor import RaterClient, Visitor, enter, form_data, mark_nothing, step_path

pytestmark = pytest.mark.alike
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\{.*?\}\}|</?\w+>")
ARABIC = re.compile(r"[\u0600-\u06ff]")
CATALOGS = translations.list_catalogs()

each_catalog = pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.parents[1].name)


def forms(text):
    """A message's or translation's forms: one, or one for each number."""
    return text if isinstance(text, tuple | list) else (text,)


def keys(catalog):
    return {(message.context, forms(message.id)) for message in catalog if message.id}


# --- the catalogues ----------------------------------------------------------------------------


def test_german_ships():
    assert "de" in [path.parents[1].name for path in CATALOGS]


@each_catalog
def test_a_catalogue_holds_exactly_what_is_marked(path):
    """`python -m config.translations extract` was run after the last change of a text."""
    catalog = translations.read_catalog(path)
    assert keys(catalog) == keys(translations.collect_messages())
    assert not catalog.obsolete


@each_catalog
def test_every_message_is_translated_for_sure(path):
    for message in translations.read_catalog(path):
        assert not message.id or all(forms(message.string)), message.id
        assert not message.fuzzy, message.id


@each_catalog
def test_every_translation_has_its_messages_placeholders(path):
    catalog = translations.read_catalog(path)
    for message in catalog:
        wanted = [sorted(PLACEHOLDER.findall(text)) for text in forms(message.id)]
        for number, text in enumerate(forms(message.string) if message.id else ()):
            found = sorted(PLACEHOLDER.findall(text))
            if len(wanted) == 1 or catalog.num_plurals == 2:
                assert found == wanted[number], text
            else:  # which of a language's forms can do without the number is its own affair
                assert set(found) <= set(wanted[-1]), text


def test_no_message_of_ours_has_a_namesake_in_the_catalogues_of_a_package():
    """A language without a catalogue of ours would show a package's translation amid English text."""
    theirs = set()
    for package, language in ((django, "en"), (allauth, "de")):
        for path in Path(package.__file__).parent.glob(f"**/locale/{language}/LC_MESSAGES/django.po"):
            theirs |= keys(read_po(BytesIO(path.read_bytes())))
    assert len(theirs) > 800
    namesakes = {(context, texts[0]) for context, texts in keys(translations.collect_messages()) & theirs}
    assert namesakes == set(), "give them a context: {% translate '...' context '...' %}, pgettext"


# --- collecting and compiling ------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    """A small project with marked texts."""
    (tmp_path / "annotation/migrations").mkdir(parents=True)
    (tmp_path / "templates").mkdir()
    (tmp_path / "annotation/views.py").write_text(
        "def ask(n):\n"
        "    # Translators: on a button\n"
        '    yield _("Go on")\n'
        '    yield ngettext("%(n)d post", "%(n)d posts", n), pgettext_lazy("place", "Post")\n'
        '    yield gettext_lazy("Two parts "\n        "of one text")\n'
        '    return _(n), "unmarked"\n'
    )
    (tmp_path / "annotation/migrations/0001.py").write_text('_("Old")\n')
    (tmp_path / "templates/page.html").write_text(
        "{% load i18n %}\n      <p>Don't (trip\n  over this: \"'''\n{% translate 'Go on' %}\n"
        "{% translate \"That's all\" context 'end' %}\n"
        "   {% blocktranslate trimmed count n=n %}\n  {{ n }} is\n  left{% plural %}\n {{ n }} are left\n"
        "{% endblocktranslate %}</p>\n"
    )
    return tmp_path


def begin(checkout, language="de"):
    assert translations.main(["extract", language], checkout) == 0
    return checkout / "locale" / language / translations.CATALOG


def test_what_templates_and_sources_mark_is_collected_with_context_and_plural(checkout):
    assert keys(translations.collect_messages(checkout)) == {
        (None, ("Go on",)),
        (None, ("%(n)d post", "%(n)d posts")),
        ("place", ("Post",)),
        (None, ("Two parts of one text",)),
        ("end", ("That's all",)),
        (None, ("%(n)s is left", "%(n)s are left")),
    }


def test_a_catalogue_names_files_and_notes_but_neither_lines_nor_dates(checkout):
    text = begin(checkout).read_text()
    assert '#. : on a button\n#: annotation/views.py templates/page.html\nmsgid "Go on"\n' in text
    assert "Date" not in text
    assert not re.search(r"\.(py|html):\d", text)


def test_extracting_again_changes_nothing(checkout):
    path = begin(checkout)
    path.write_text(path.read_text().replace('msgid "Go on"\nmsgstr ""', 'msgid "Go on"\nmsgstr "Weiter"'))
    before = path.read_text()
    (checkout / "annotation/views.py").write_text("\n\n" + (checkout / "annotation/views.py").read_text())
    begin(checkout)
    assert path.read_text() == before
    assert '"Weiter"' in before


def test_extracting_drops_what_is_gone_and_guesses_no_translation(checkout):
    path = begin(checkout)
    text = path.read_text().replace('msgid "Post"\nmsgstr ""', 'msgid "Post"\nmsgstr "Ort"')
    path.write_text(text.replace('msgstr[0] ""\nmsgstr[1] ""', 'msgstr[0] "%(n)d"\nmsgstr[1] "%(n)d B"'))
    source = checkout / "annotation/views.py"
    source.write_text('pgettext("place", "Posts"), _("%(n)d post")')
    begin(checkout)
    catalog = translations.read_catalog(path)
    assert not catalog.get("Post", "place")
    assert not catalog.obsolete
    assert not catalog.get("Posts", "place").string
    assert not catalog.get("%(n)d post").string
    assert not any(message.fuzzy for message in catalog)


def test_what_is_compiled_is_read_back_without_fuzzy_translations(checkout):
    path = begin(checkout)
    path.write_text(
        path.read_text()
        .replace('msgid "Post"\nmsgstr ""', 'msgid "Post"\nmsgstr "Ort"')
        .replace('msgid "Go on"\nmsgstr ""', '#, fuzzy\nmsgid "Go on"\nmsgstr "Vielleicht"')
        .replace(
            'posts"\nmsgstr[0] ""\nmsgstr[1] ""', 'posts"\nmsgstr[0] "%(n)d Post"\nmsgstr[1] "%(n)d Posten"'
        )
    )
    assert translations.main(["compile"], checkout) == 0
    with path.with_suffix(".mo").open("rb") as file:
        found = gettext.GNUTranslations(file)
    assert found.pgettext("place", "Post") == "Ort"
    assert found.gettext("Go on") == "Go on"
    assert [found.ngettext("%(n)d post", "%(n)d posts", n) for n in (1, 2)] == ["%(n)d Post", "%(n)d Posten"]
    assert [each.name for each in path.parent.iterdir() if each.suffix not in (".po", ".mo")] == []


def test_only_what_changed_is_compiled_again(checkout):
    path = begin(checkout)
    (compiled,) = translations.compile_stale(checkout / "locale")
    assert compiled == path.with_suffix(".mo")
    assert translations.compile_stale(checkout / "locale") == []
    compiled.unlink()
    assert translations.compile_stale(checkout / "locale") == [compiled]


def test_a_translation_with_a_wrong_placeholder_is_refused_by_name(checkout):
    path = begin(checkout)
    path.write_text(path.read_text().replace('posts"\nmsgstr[0] ""', 'posts"\nmsgstr[0] "%(number)d Post"'))
    with pytest.raises(ValueError, match=r"(?s)de/LC_MESSAGES/django.po.*%\(n\)d posts.*number"):
        translations.main(["compile"], checkout)
    assert not path.with_suffix(".mo").exists()


def test_a_broken_file_and_an_unknown_language_are_named(checkout):
    path = begin(checkout)
    path.write_text(path.read_text() + "\nnonsense\n")
    with pytest.raises(ValueError, match=r"django.po, line \d+"):
        translations.read_catalog(path)
    path.unlink()
    with pytest.raises(ValueError, match="'xx' is not the name of a locale"):
        translations.main(["extract", "xx"], checkout)


def test_a_language_is_begun_with_its_own_plural_forms(checkout):
    assert "nplurals=6" in begin(checkout, "ar").read_text()
    assert translations.main(["extract", "pt-br"], checkout) == 0
    assert (checkout / "locale/pt_BR" / translations.CATALOG).exists()


def test_unknown_commands_are_answered_with_the_way_to_call_it(capsys):
    for arguments in ([], ["translate"], ["compile", "de"]):
        assert translations.main(arguments) == 2
        assert "python -m config.translations extract" in capsys.readouterr().out


def test_neither_settings_nor_a_database_are_needed():
    code = (
        "import config.translations as t; t.collect_messages(); from django.conf import settings; "
        "assert not settings.configured"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=translations.ROOT,
        env={"DJANGO_SETTINGS_MODULE": "no.such.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


# --- numbers in words --------------------------------------------------------------------------


def test_riddles_in_german_are_sentences():
    with translation.override("de"):
        assert say_riddle(NumberRiddle(21, 3)) == "Die Zahl ist um drei größer als einundzwanzig."
        assert say_riddle(NumberRiddle(99, -5)) == "Die Zahl ist um fünf kleiner als neunundneunzig."
        assert [str(NUMBER_WORDS[number]) for number in (0, 1, 16, 17, 30, 31, 66, 77)] == [
            *("null", "eins", "sechzehn", "siebzehn", "dreißig", "einunddreißig"),
            *("sechsundsechzig", "siebenundsiebzig"),
        ]


@each_catalog
def test_no_two_riddles_and_no_two_numbers_sound_alike(path):
    with translation.override(path.parents[1].name.replace("_", "-")):
        assert len({str(word) for word in NUMBER_WORDS}) == len(NUMBER_WORDS) == max(NUMBERS) + 1
        riddles = [NumberRiddle(start, change) for start in NUMBERS for change in (-5, -2, 2, 5)]
        assert len({say_riddle(riddle) for riddle in riddles}) == len(riddles)


# --- every page in the study's language --------------------------------------------------------

VALUES = ("security", "conformity", "tradition", "benevolence", "universalism")
TEXT = {"title": "Words", "sections": [{"heading": "", "text": "Some of ours."}]}
GRID = {
    "kind": "grid",
    "question": "How true?",
    "options": [{"value": value, "label": value} for value in ("never", "now", "often", "always")],
    "rows": [
        {"key": "cheese", "text": "Cheese."},
        {"key": "told", "text": "Choose 'never' here.", "instructed": "never"},
        {"key": "bread", "text": "Bread."},
    ],
}
TRAINING = {
    "intro": "Try.",
    "tolerance": 1,
    "posts": [
        {
            "key": "t1",
            "text": "A fence.",
            "context": None,
            "marks": {"statement": ["social_focus"]},
            "ratings": dict.fromkeys(VALUES, 1),
            "why": dict.fromkeys(("statement", *VALUES), "Because."),
        }
    ],
}
GATING = {
    "intro": "",
    "threshold": 1,
    "posts": [{"key": "g1", "text": "A wall.", "context": None, "value": "security", "expresses": True}],
}
STEPS = (
    ("consent", {}),
    ("instructions", TEXT),
    ("attention_check", {"kind": "number"}),
    ("attention_check", GRID),
    ("training", TRAINING),
    ("gating", GATING),
    ("labeling", {}),
    ("vcq", {}),
    ("questionnaire", {"questionnaire": "about"}),
    ("debrief", TEXT),
)
OPTIONS = [{"value": value, "label": value.title()} for value in ("ash", "elm", "oak")]
ITEM = {"label": "What?", "help": "", "required": True, "prefer_not_to_say": False}
ABOUT = {
    "key": "about",
    "version": 1,
    "title": "You",
    "intro": "",
    "items": [
        {**ITEM, "key": "one", "kind": "single", "options": OPTIONS, "prefer_not_to_say": True},
        {**ITEM, "key": "some", "kind": "multiple", "options": OPTIONS, "min": 2, "max": 2},
        {**ITEM, "key": "any", "kind": "multiple", "options": OPTIONS, "max": 2, "prefer_not_to_say": True},
        {**ITEM, "key": "rows", "kind": "grid", "options": OPTIONS, "rows": [{"key": "r1", "label": "R"}]},
        {**ITEM, "key": "years", "kind": "number", "min": 18, "max": 1200},
        {**ITEM, "key": "size", "kind": "number", "min": 1, "prefer_not_to_say": True},
        {**ITEM, "key": "least", "kind": "number", "max": 9, "required": False},
        {**ITEM, "key": "whole", "kind": "number", "required": False},
        {**ITEM, "key": "words", "kind": "text", "max_length": 2000},
    ],
}
FINE = {
    "one": "ash",
    "some": ["ash", "elm"],
    "any": "oak",
    "r1": "oak",
    "years": "44",
    "size": "2",
    "words": "Yes",
}


def make_study(language, **more):
    """A study with every kind of step, whose own texts hold none of the interface's."""
    study = StudyFactory(steps=(), language=language, outcome_texts={}, posts=3, **more)
    for position, (kind, config) in enumerate(STEPS, start=1):
        StepFactory(study=study, position=position, kind=kind, config=config)
    QuestionnaireFactory(study=study, key="about", definition=ABOUT)
    study.posts.filter(key="p1").update(context_kind="reply", context_text="Why?")
    study.posts.filter(key="p2").update(context_kind="quote", context_text="How?")
    return study


class Tour:
    """A person who looks at every page of a study and makes every mistake; `pages` is what they were served."""

    def __init__(self, study):
        self.study, self.client, self.pages = study, RaterClient(), []

    def keep(self, response):
        assert response.status_code in (200, 400, 403, 409, 422), response
        self.pages.append(response)
        return response

    def look(self, name="current_step", *more):
        return self.keep(
            self.client.get(reverse(f"annotation:{name}", args=[self.study.slug, *more]), follow=True)
        )

    def send(self, *mistakes, **answer):
        """Send each wrong answer to the step they are on and look at what comes back, then the right one."""
        step = get_current_step(Enrollment.objects.get(pk=self.enrollment.pk))
        path = reverse("annotation:step", args=[self.study.slug, step.position])
        self.look()
        for mistake in mistakes:
            self.keep(self.client.post(path, mistake))
        assert self.client.post(path, answer).status_code == 303
        return path

    def walk(self):
        self.look("arrival")
        self.keep(RaterClient().get(reverse("annotation:current_step", args=[self.study.slug])))
        self.enrollment = enter(self.client, self.study)
        self.keep(self.client.get(build_entry_path(self.study, "rater-one")))
        self.look("withdraw")
        later = reverse("annotation:step", args=[self.study.slug, len(STEPS)])
        self.keep(self.client.post(later))
        finished = self.send({}, consent="yes")
        self.keep(self.client.post(finished, {"consent": "no"}, follow=True))
        self.send()
        self.send({"seen": ""}, {"seen": "many"}, seen="10")
        self.send({}, {"row-told": "often"}, **{f"row-{row}": "never" for row in ("cheese", "told", "bread")})
        opened = {"shown": ["statement"], "open-statement": "social_focus"}
        read = opened | {"shown": ["statement", "social_focus"]} | {f"rate-{key}": "1" for key in VALUES}
        self.send(
            {"item": "t1", "shown": "statement", "open-statement": "none"},
            {"item": "t1", **opened},
            {"item": "t1", **read, "rate-security": "5"},
            item="t1",
            **read,
        )
        self.send({"item": "g1"}, item="g1", **read | {"rate-security": "4"})
        self.label(opened, read)
        for question in self.study.calibration_questions.order_by("position"):
            ahead = [{"item": "2", "rating": "2"}] if question.position == 1 else []
            answered = self.send(
                {"item": question.position},
                {"item": "99"},
                *ahead,
                item=question.position,
                rating="2",
            )
            self.keep(self.client.post(answered, {"item": "1", "rating": "3"}, follow=True))
        self.ask_about_themselves()
        self.send()
        self.look("done")

    def label(self, opened, read):
        first = None
        for _ in range(2):
            assignment = Assignment.objects.get(enrollment=self.enrollment, status=Assignment.Status.OPEN)
            item = {"item": str(assignment.pk)}
            first = first or item
            path = self.send(
                item | {"shown": "statement"},
                item | opened,
                item | {"shown": ["statement", "social_focus"], "open-statement": ["none", "social_focus"]},
                item | read | {"rate-security": "many"},
                item | read | {"rate-power": "3"},
                item | read | {"open-statement": "nonsense"},
                item | read | {"rationale": "x" * 6000},
                item | read | {"rationale": "x\x00"},
                item | read | {"open-statement": "none"},
                item | {"shown": "statement", "open-statement": "none", "rate-security": "2"},
                {"item": "0"},
                **item | read,
            )
            again = self.client.post(path, first | read | {"rationale": "Another"}, follow=True)
            self.keep(again)

    def ask_about_themselves(self):
        wrong = {"words": "x" * 3000, "some": "ash", "any": ["ash", "prefer_not_to_say"], "years": "many"}
        self.send(
            {},
            {"any": ["ash", "elm", "oak"], "years": "4", "size": "0", "least": "10", "whole": "half"},
            FINE | {"words": "x\x00"},
            FINE | wrong | {"one": ["ash", "elm"], "size-declined": "prefer_not_to_say"},
            **FINE,
        )

    def leave_in_every_way(self):
        for outcome in reversed(Outcome):  # the last one has completed
            self.client = RaterClient()
            enrollment = enter(self.client, self.study, f"rater-{outcome}".replace("_", "-"))
            services.finish(enrollment, outcome)
            self.look("done")

    def come_too_early(self):
        self.study.state = Study.State.PAUSED
        self.study.save()
        self.keep(RaterClient().get(build_entry_path(self.study, "rater-early")))
        first = self.study.steps.first()
        address = build_query(services.preview_step(self.study, first))
        self.study.steps.filter(pk=first.pk).update(config={"of": "no use"})
        self.keep(RaterClient().get(step_path(self.study, first.kind) + address))
        self.study.steps.filter(pk=first.pk).update(config=first.config)

    def come_too_late(self):
        self.study.state = Study.State.CLOSED
        self.study.save()
        self.look("withdraw")
        self.keep(RaterClient().get(build_entry_path(self.study, "rater-late")))


def take_tour(language):
    tour = Tour(make_study(language))
    caches["process"].set(f"seconds-per-post-{tour.study.pk}", 24 * 60)
    tour.walk()
    tour.leave_in_every_way()
    tour.come_too_early()
    tour.come_too_late()
    caches["process"].clear()
    return tour.pages


def say(response):
    return unescape(response.content.decode())


def recognise(messages):
    """A pattern that finds these messages in a page, whatever is filled in."""
    parts = [
        "[^<>]{1,60}?".join(re.escape(part) for part in re.split(r"%\(\w+\)[sd]", text))
        for message in messages
        for text in forms(message.id)
        if len(text) > 12
    ]
    return re.compile("|".join(parts))


def list_templates():
    return {
        path.relative_to(translations.ROOT / "templates").as_posix()
        for folder in ("annotation", "calibration")
        for path in (translations.ROOT / "templates" / folder).glob("*.html")
    }


@pytest.fixture
def english():
    return recognise(message for message in translations.collect_messages() if message.id)


@pytest.mark.django_db
def test_every_page_of_a_german_study_is_german(english):
    pages = take_tour("de")
    for page in pages:
        text = say(page)
        assert '<html lang="de">' in text
        assert not english.search(text), (page.request["PATH_INFO"], english.search(text))
    assert list_templates() <= {template.name for page in pages for template in page.templates}


@pytest.mark.django_db
def test_what_the_german_pages_must_not_have_is_what_english_ones_have(english):
    found = set()
    for page in take_tour("en"):
        text = say(page)
        assert '<html lang="en">' in text
        found |= set(english.findall(text))
    assert len(found) > 90


@pytest.mark.django_db
def test_a_language_without_a_catalogue_is_english_throughout_and_runs_its_own_way(english):
    for page in take_tour("ar"):
        text = say(page)
        assert '<html lang="ar" dir="rtl">' in text
        assert not ARABIC.search(text), (page.request["PATH_INFO"], ARABIC.search(text))
        assert english.search(text)


@pytest.mark.django_db
def test_the_fragment_with_newly_opened_questions_is_german(english):
    study = StudyFactory(steps=("labeling",), language="de")
    client = RaterClient()
    enrollment = enter(client, study)
    data = form_data(enrollment.assignments.get(), mark_nothing()) | {"open-statement": "social_focus"}
    response = client.post(reverse("annotation:draft", args=[study.slug, 1]), {**data, "reveal": "yes"})
    text = say(response)
    assert "rate-security" in text
    assert "Nichts davon" in text
    assert not english.search(text)


@pytest.mark.parametrize("page", ["400.html", "404.html", "csrf_failure.html"])
def test_pages_that_fit_nowhere_can_be_german(page, english):
    with translation.override("de"):
        text = unescape(render_to_string(page))
    assert '<html lang="de">' in text
    assert not english.search(text)


def test_numbers_are_written_as_the_language_writes_them():
    form = ReadingForm(load_ten(), QueryDict(f"rationale={'x' * 6000}"))
    with translation.override("de"):
        form.is_valid()
    assert "5.000 Zeichen" in form.errors["rationale"]


# --- the language of one request and of no other -----------------------------------------------


def read_language(response):
    return re.search(r'<html lang="([\w-]+)"', response.content.decode())[1]


@pytest.mark.django_db
def test_studies_in_two_languages_alternate_without_mixing():
    people = []
    for language in ("de", "en", "ar"):
        client = RaterClient()
        people.append((language, client, enter(client, StudyFactory(language=language)).study))
    for _ in range(3):
        for language, client, study in people:
            page = client.get(reverse("annotation:step", args=[study.slug, 1]))
            refused = client.post(reverse("annotation:step", args=[study.slug, 1]), {})
            assert (read_language(page), read_language(refused)) == (language, language)
            assert translation.get_language() == "en"


@pytest.mark.django_db
def test_what_breaks_in_a_german_request_leaves_no_german_behind(monkeypatch):
    clients = {language: RaterClient(raise_request_exception=False) for language in ("de", "en")}
    studies = {language: StudyFactory(language=language) for language in clients}
    for language, client in clients.items():
        enter(client, studies[language])

    def ask(language, position=1):
        return clients[language].get(reverse("annotation:step", args=[studies[language].slug, position]))

    def break_down(*args):
        assert translation.get_language() == "de"
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setitem(steps.KINDS, "consent", Mock(view=break_down))
        assert ask("de").status_code == 500
    assert translation.get_language() == "en"
    assert read_language(ask("en")) == "en"
    assert ask("de", position=99).status_code == 404
    assert translation.get_language() == "en"
    assert read_language(ask("en")) == "en"


@pytest.mark.django_db
def test_researchers_pages_stay_english_after_a_german_request(admin_client):
    client = RaterClient()
    study = enter(client, StudyFactory(language="de")).study
    for address in ("/admin/", "/admin/annotation/enrollment/", reverse("modeling:studies"), "/"):
        assert read_language(client.get(reverse("annotation:withdraw", args=[study.slug]))) == "de"
        page = admin_client.get(address)
        assert (page.status_code, read_language(page)) == (200, "en"), address
    assert "Log out" in admin_client.get("/admin/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["de", "ar"])
def test_simulated_raters_walk_a_study_in_any_language(language):
    study = make_study(language)
    cast = Cast(study)
    visitor = Visitor()
    entry = build_entry_path(study, cast.name(1), simulated=True)
    assert walk_study(visitor, entry, cast.build_mind(1)).outcome == Outcome.COMPLETED
    assert all(f'<html lang="{language}"' in body for _, status, body in visitor.served if status == 200)
    assert not Enrollment.objects.get().gate_decisions.filter(passed=False).exists()


@pytest.mark.django_db
def test_a_post_runs_the_way_of_its_own_words_and_not_of_those_above_it():
    study = StudyFactory(steps=("labeling",), posts=0)
    PostFactory(study=study, context_kind="reply", context_text="لماذا؟", text="هذا منشور.")
    client = RaterClient()
    enter(client, study)
    text = say(client.get(reverse("annotation:step", args=[study.slug, 1])))
    assert re.search(r'<blockquote [^>]*dir="auto"><p>لماذا؟', text)
    assert re.search(r'<p [^>]*dir="auto">هذا منشور', text)
    assert not re.search(r"<article [^>]*dir=", text)
