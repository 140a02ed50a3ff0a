"""A curation from its feeds to its sample: counted, repeatable, paid once, able to go on wherever it stopped."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection

from annotation.errors import Refused
from modeling.annotators.configs import retire
from modeling.curation import services
from modeling.curation.account import (
    estimate_stages,
    list_funnel,
    summarize_sample,
    write_account,
    write_draws,
)
from modeling.curation.stages import BY_MODEL, NOT_READ, Stage
from modeling.models import AnnotatorRun, Curation
from modeling.standin.script import Script
from tests.modeling.annotators.ground import KEY_VARIABLE, ask_standin
from tests.modeling.curation.ground import LENIENT, TEXTS, curate, list_rows, load, make_curation

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]
State = Curation.State
START_OR_GO_ON = """
import django; django.setup()
from jobs.services import run_here
from modeling.curation.services import start_curation
from modeling.models import Curation
run_here(start_curation(Curation.objects.get()), poll_seconds=0.05)
"""


def count_dropped(curation):
    """Of each stage and reason the posts that carry it."""
    found = {}
    for stage, reason in curation.feed_posts.exclude(dropped_at="").values_list("dropped_at", "reason"):
        found.setdefault(stage, {}).setdefault(reason, 0)
        found[stage][reason] += 1
    return found


def test_every_post_is_accounted_for_from_the_feeds_to_the_sample(standin):
    rows = list_rows()
    first = rows[0]
    rows += [
        first
        | {"key": "german", "text": "Guten Morgen aus dem Hafen, der Kaffee ist heiß", "language": "de"},
        first | {"key": "empty", "text": "", "language": ""},
        first | {"key": "again", "owner": "dua"},
    ]
    curation = curate(make_curation(rows=rows))
    assert curation.state == State.SAMPLED
    assert curation.is_standin
    assert [line["stage"] for line in curation.funnel] == list(Stage)
    came = curation.feed_posts.count()
    for line in curation.funnel:
        assert line["came"] == came
        came = line["kept"]
        assert came == line["came"] - sum(line["dropped"].values())
    assert {line["stage"]: line["dropped"] for line in curation.funnel if line["dropped"]} == count_dropped(
        curation
    )
    assert curation.feed_posts.get(key="again").detail == "p0"
    for draw in curation.draws.select_related("feed_post"):
        place = list(curation.study.value_keys).index(draw.value_key)
        assert draw.feed_post.dropped_at == ""
        assert draw.feed_post.screening[place] >= 1
    assert curation.feed_posts.filter(dropped_at="").count() == summarize_sample(curation).n_posts > 0
    assert curation.appearances.filter(owner=curation.draws.first().owner).exists()


def test_a_repeated_texts_places_count_for_the_post_that_was_kept(standin):
    rows = [*list_rows(TEXTS[:1], owners=("ann",)), *list_rows(TEXTS[:1], owners=("ben",))]
    rows[1]["key"] = "twin"
    curation = curate(make_curation(rows=rows, settings=replace(LENIENT, least_screening=0)))
    assert set(curation.draws.values_list("feed_post__key", flat=True)) == {"p0"}
    assert curation.draws.values("owner").distinct().count() == 2


def test_the_same_feeds_seed_and_readings_give_the_same_sample_and_nothing_is_asked_twice(standin):
    first = curate(make_curation(seed=5))
    n_paid = standin.n_paid()
    account, draws = list(write_account(first)), list(write_draws(first))
    again = curate(first)
    assert (list(write_account(again)), list(write_draws(again))) == (account, draws)
    other = make_curation(first.study, name="again", seed=5)
    assert list(write_draws(curate(other))) == draws
    assert standin.n_paid() == n_paid
    seeds = {
        tuple(write_draws(curate(make_curation(first.study, name=f"{seed}", seed=seed))))
        for seed in (6, 7, 8)
    }
    assert len(seeds) > 1


def test_feeds_that_come_later_are_all_that_is_still_asked_about(standin):
    curation = curate(make_curation(rows=list_rows(TEXTS[:3])))
    n_paid = standin.n_paid()
    load(curation, list_rows(owners=("dua",)), name="later.csv")
    curate(curation)
    assert standin.n_paid() == n_paid + 3 * len(BY_MODEL)
    assert curation.funnel[0]["came"] == 6


def test_a_post_without_a_usable_reading_is_dropped_as_not_read_and_can_be_read_again(standin):
    rows = list_rows((*TEXTS[:3], f"{TEXTS[3]} [[fault:refusal]]", f"{TEXTS[4]} [[fault:server_error*6]]"))
    curation = curate(make_curation(rows=rows))
    (line,) = [line for line in list_funnel(curation) if line.stage == Stage.COMPREHENSIBILITY]
    assert line.n_not_read == 2
    failed = curation.feed_posts.filter(reason=NOT_READ, dropped_at=Stage.COMPREHENSIBILITY)
    assert {post.detail.partition(":")[0] for post in failed} == {"refused", "server_error"}
    assert failed.first().comprehensibility is None
    assert services.read_again(curation, Stage.COMPREHENSIBILITY) == 1  # the refusal was paid for, and stays
    curate(curation)
    assert list(failed.values_list("key", flat=True)) == ["p3"]
    assert services.read_again(curation, Stage.COMPREHENSIBILITY) == 0


def test_a_budget_that_is_spent_stops_the_curation_with_a_sentence_and_a_larger_one_lets_it_go_on(standin):
    settings = replace(LENIENT, concurrency=1, budgets={"nsfw": Decimal("0.001")})
    prices = {"input_price": 1, "output_price": 1}
    curation = curate(make_curation(settings=settings, **prices))
    assert curation.state == State.STOPPED
    assert curation.problem.startswith("Safe to show: ")
    assert "budget" in curation.problem
    assert [line["stage"] for line in curation.funnel][-1] == Stage.COMPREHENSIBILITY
    run = services.find_run(curation, Stage.NSFW)
    assert run.spent <= settings.budgets["nsfw"]
    annotators = {stage: services.get_annotator(curation, stage) for stage in BY_MODEL}
    services.change_curation(curation, name="spring", settings=LENIENT, seed=1, annotators=annotators)
    assert curate(curation).state == State.SAMPLED
    assert services.find_run(curation, Stage.NSFW) == run


def test_a_key_that_was_revoked_stops_it_and_the_right_one_lets_it_go_on():
    with ask_standin(key="another key"):
        curation = curate(make_curation())
        assert curation.state == State.STOPPED
        assert "key" in curation.problem
    with ask_standin():
        assert curate(curation).state == State.SAMPLED


def test_it_can_be_cancelled_and_started_anew(standin):
    curation = make_curation()
    job = services.start_curation(curation)
    assert services.start_curation(curation) == job
    assert services.is_busy(curation)
    assert services.cancel_curation(curation)
    assert not services.cancel_curation(curation)
    job.refresh_from_db()
    assert (job.state, curation.state) == ("cancelled", State.CANCELLED)
    assert curate(curation).state == State.SAMPLED


def test_nothing_is_asked_where_every_post_is_dropped_before(standin):
    curation = curate(make_curation(settings=replace(LENIENT, languages=("fr",))))
    assert curation.state == State.SAMPLED
    assert standin.n_paid() == 0
    assert not AnnotatorRun.objects.exists()
    assert curation.funnel[-1]["kept"] == 0


def test_what_stands_in_the_way_of_a_start_is_said_whole(standin):
    curation = make_curation()
    retire(curation.nsfw)
    annotators = {Stage.COMPREHENSIBILITY: None}
    services.change_curation(curation, name="spring", settings=LENIENT, seed=1, annotators=annotators)
    curation.feed_posts.all().delete()
    with pytest.raises(Refused) as refusal:
        services.start_curation(curation)
    for words in ("no feeds", "for comprehensibility", "is retired"):
        assert words in str(refusal.value)


def test_a_model_decides_only_what_it_rates_and_only_in_its_study(standin):
    curation, other = make_curation(), make_curation()
    wrong = {Stage.NSFW: curation.screening, Stage.SCREENING: other.screening}
    with pytest.raises(Refused) as refusal:
        services.change_curation(curation, name="", settings=LENIENT, seed=-1, annotators=wrong)
    for words in ("does not rate safety", "another study", "a name", "seed"):
        assert words in str(refusal.value)


def test_the_estimate_is_for_the_posts_that_are_likely_to_come_and_then_for_those_that_are_left(standin):
    curation = make_curation(input_price=100, output_price=100)
    before = estimate_stages(curation)
    assert [each.n_posts for each in before] == [6, 4, 4]
    assert all(0 < each.cost < each.cost_at_most for each in before)
    curate(curation)
    after = estimate_stages(curation)
    assert [each.n_read for each in after] == [each.n_posts for each in after]
    assert {each.cost for each in after} == {0}


@pytest.mark.alike  # the processes get a copy of the database's file, which SQLite alone has
@pytest.mark.django_db(transaction=True)  # a database in the middle of a transaction cannot be copied
def test_a_curation_whose_process_is_killed_goes_on_in_another_and_ends_as_if_nothing_had_happened(tmp_path):
    texts = [f"{text}, for the {number}. time" for number in range(4) for text in TEXTS]
    with ask_standin() as undisturbed:
        curation = make_curation(rows=list_rows(texts, owners=("ann",)))
        with closing(sqlite3.connect(tmp_path / "parallax.sqlite3")) as copy:
            connection.connection.backup(copy)
        expected = list(write_draws(curate(curation)))
        n_undisturbed = undisturbed.n_paid()
    # Every answer takes a while, so that the process dies among its calls.
    with ask_standin(Script(latency_seconds=0.02)) as standin:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings.base",
            "VAR_DIR": str(tmp_path),
            "LLM_STANDIN_BASE_URL": standin.url,
            "LLM_STANDIN_REQUESTS_PER_MINUTE": "0",
            "LLM_STANDIN_TOKENS_PER_MINUTE": "0",
            KEY_VARIABLE: "key-of-the-stand-in",
            "JOBS_LEASE_SECONDS": "1",
            "LOG_LEVEL": "ERROR",
        }
        environment.pop("DATABASE_URL", None)
        command = [sys.executable, "-c", START_OR_GO_ON]
        process = subprocess.Popen(command, env=environment, cwd=ROOT)
        until = time.monotonic() + 60
        while standin.n_paid() < n_undisturbed // 2:
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with closing(sqlite3.connect(tmp_path / "parallax.sqlite3")) as database, database:
            database.execute(
                "UPDATE modeling_modelcall SET claimed_until = '2000-01-01' WHERE state = 'claimed'"
            )
        subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=120)
        n_paid = standin.n_paid()
    with closing(sqlite3.connect(tmp_path / "parallax.sqlite3")) as database:
        draws = database.execute(
            "SELECT d.number, d.owner, d.value_key, d.source, d.is_extra, p.key FROM modeling_curationdraw d "
            "JOIN modeling_feedpost p ON p.id = d.feed_post_id ORDER BY d.number"
        ).fetchall()
        assert database.execute("SELECT state FROM modeling_curation").fetchall() == [("sampled",)]
    shown = [
        f"{number},{owner},{value},{source},{bool(extra)},{key}"
        for number, owner, value, source, extra, key in draws
    ]
    assert shown == [line.strip().rpartition(",")[0] for line in expected[1:]]
    assert n_undisturbed <= n_paid <= n_undisturbed + LENIENT.concurrency
