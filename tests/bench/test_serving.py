"""What the serving bench counts, and how its raters behave."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import bench
from annotation.paradata import read_paradata
from bench.serving import (
    Process,
    Rater,
    Tally,
    median_annotation_ms,
    parse_stat,
    percentile,
    rated_keys,
    sum_ticks,
    summarize,
    write_notes,
)
from modeling.simulation.page import Page, PageError

STAT = "20357 (a (b) 1 2 c) S 20347 20347 18435 0 -1 4194304 99 0 0 0 7 5 3 2 20 0 1 0 1612164"


def test_a_process_whose_name_holds_anything_is_read():
    assert parse_stat(STAT) == Process(parent=20347, ticks=7 + 5 + 3 + 2)


def test_the_ticks_of_a_tree_are_those_of_all_its_generations_and_of_nobody_else():
    processes = {
        1: Process(0, 1000),
        10: Process(1, 1),
        11: Process(10, 2),
        12: Process(11, 4),
        20: Process(1, 8),
    }
    assert sum_ticks(processes, 10) == 1 + 2 + 4


def test_a_server_that_has_ended_is_no_server_without_cost():
    with pytest.raises(ValueError, match="no process 10"):
        sum_ticks({1: Process(0, 1000)}, 10)


def test_a_percentile_lies_between_its_neighbours_in_proportion():
    values = [float(value) for value in range(101)]
    assert percentile(values, 50) == 50.0
    assert percentile(values[::-1], 95) == 95.0
    assert percentile([0.0, 10.0], 25) == 2.5


def build_run(scale: float, **more: Tally) -> dict[str, Tally]:
    """Ten annotations: 2 ms for a page and 3 ms for a submit, times `scale`."""
    return {
        "page": Tally(10, 20.0 * scale, 1.0, [1.0] * 10),
        "submit": Tally(10, 30.0 * scale, 4.0, [scale] * 10),
        **more,
    }


def test_an_annotation_is_a_page_and_a_submit_at_the_median_of_the_runs():
    runs = [build_run(1), build_run(100), build_run(2)]
    assert median_annotation_ms(runs) == 10.0
    assert median_annotation_ms(runs, "postgres_ms") == 0.5
    assert summarize(runs) == {
        "page_cpu_ms": 4.0,
        "submit_cpu_ms": 6.0,
        "annotation_postgres_cpu_ms": 0.5,
        "submit_wall_p50_ms": 2.0,
        "submit_wall_p95_ms": 2.0,
    }


def test_other_requests_stand_apart_and_make_no_annotation_dearer():
    run = build_run(1, reveal=Tally(40, 200.0, 0.0, []))
    assert summarize([run])["reveal_cpu_ms"] == 5.0
    assert median_annotation_ms([run]) == 5.0


def test_a_rater_rates_the_ten_values_of_the_two_groups_that_are_ticked():
    assert len(rated_keys()) == len(set(rated_keys())) == 10
    assert {"hedonism", "universalism_nature"} <= set(rated_keys())
    assert "achievement" not in rated_keys()


# --- the rater's browser -----------------------------------------------------------------------

FORM = """
<main><form id="path-form" method="post" action="/form"><input type="hidden" name="token" value="as served">
<input type="radio" name="rate-a" value="3"><button name="go" value="on">Continue</button></form></main>
"""


class Recorder(BaseHTTPRequestHandler):
    """Answers a GET with a form, a POST as its address asks: a redirect, htmx's kind of it, nothing more, or 204."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str, bool]] = []

    def do_GET(self) -> None:
        self.answer(200, FORM.encode(), {})

    def do_POST(self) -> None:
        answers = {
            "/form": (303, {"Location": "/next"}),
            "/htmx": (200, {"HX-Redirect": "/after"}),
            "/still": (200, {}),
        }
        status, headers = answers.get(self.path, (204, {}))
        self.answer(status, b"", headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.seen.append((self.command, self.path, sent, "HX-Request" in self.headers))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def rater() -> Iterator[Rater]:
    """A timed rater who has the form before them."""
    Recorder.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with Rater(f"http://127.0.0.1:{server.server_port}") as rater:
        rater.is_timed = True
        rater.ask_for_page()
        rater.read()
        rater.answers = {"rate-a": "3", "rate-unasked": "1"}
        yield rater
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_submit_sends_every_field_as_served_and_does_not_follow_its_redirect(rater):
    assert rater.send(rater.page.form(), {}, by_htmx=False) > 0
    assert Recorder.seen[1:] == [("POST", "/form", "token=as+served&rate-a=3&go=on", False)]
    assert rater.path == "/next"


def test_a_submit_by_htmx_goes_on_where_its_answer_leads_the_browser(rater):
    rater.send(replace(rater.page.form(), action="/htmx"), {"notes": "{}"}, by_htmx=True)
    assert Recorder.seen[1:] == [("POST", "/htmx", "token=as+served&rate-a=3&notes=%7B%7D&go=on", True)]
    assert rater.path == "/after"


def test_what_goes_aside_is_counted_says_that_it_is_htmx_and_presses_no_button(rater):
    for _ in range(2):
        rater.send_aside(rater.page.form(), "/draft/", {"reveal": "yes"}, status=204)
    rater.ask_for_page()
    assert Recorder.seen[1:] == [
        ("POST", "/draft/", "token=as+served&rate-a=3&reveal=yes&number=1", True),
        ("POST", "/draft/", "token=as+served&rate-a=3&reveal=yes&number=2", True),
        ("GET", "/", "", False),
    ]


def test_an_answer_of_another_kind_ends_the_bench(rater):
    with pytest.raises(PageError, match="should have answered 200"):
        rater.send_aside(rater.page.form(), "/draft/", {}, status=200)
    with pytest.raises(PageError, match="leads nowhere"):
        rater.send(replace(rater.page.form(), action="/still"), {}, by_htmx=True)


def test_the_notes_of_a_page_are_such_as_the_study_keeps():
    notes = write_notes(["open-post", "rate-hedonism"])
    assert read_paradata(json.dumps(notes)) == notes


def test_a_timed_rater_leaves_the_reading_for_later(rater):
    rater.page = Page("")
    rater.ask_for_page()
    assert rater.page.forms == []
    rater.read()
    assert rater.page.form().controls["token"].values == ["as served"]


# --- the printed line --------------------------------------------------------------------------


def test_what_one_bench_alone_reports_joins_its_line(capsys, monkeypatch):
    timing = bench.Timing(
        0.5, "a view", {"ours": 2.0, "reference": 1.0}, unit="ms", more={"draft_save": None}
    )
    monkeypatch.setitem(bench.BENCHES, "made_up", lambda: timing)
    assert bench.main(["made_up"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["ratio"], line["unit"], line["draft_save"]) == (0.5, "ms", None)


def test_a_bench_that_cannot_run_here_says_why_and_the_others_run(capsys, monkeypatch):
    def lacking() -> bench.Timing:
        raise bench.CannotRun("no such server; install it")

    monkeypatch.setitem(bench.BENCHES, "lacking", lacking)
    monkeypatch.setitem(bench.BENCHES, "made_up", lambda: bench.Timing(1.0, "", {}))
    assert bench.main(["lacking", "made_up"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["name"] == "made_up"
    assert err == "lacking did not run: no such server; install it\n"
