"""The browser and the walk against a real HTTP server that serves a small study."""

import threading
from collections.abc import Callable, Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from modeling.simulation.browser import Browser, Mind, PageError, SimulatedMind, walk_study
from modeling.simulation.page import Page
from modeling.simulation.parameters import load_parameters
from modeling.simulation.population import Branch, Population

TREE = Branch(
    "post",
    (
        Branch(
            "self",
            (Branch("open", ("novelty", "pleasure"), True), Branch("enhance", ("wealth",), True)),
            True,
        ),
        Branch(
            "others",
            (Branch("keep", ("tradition",), True), Branch("care", ("caring", "equality"), True)),
            False,
        ),
    ),
    True,
)
NODES = {branch.key: branch for branch in (TREE, *TREE.branches_below())}
POSTS = ["Free hugs &\nfree soup", "I want <it> all", "Same text", "Same text"]
ITEMS = [("Free hugs &\nfree soup", "caring"), ("Same text", "wealth")]
CODE = "C0DE"

Answers = dict[str, list[str]]


class StudyServer:
    """A study of one rater at a time, kept on the server as the real one keeps it; every request is noted."""

    def __init__(self) -> None:
        self.step = "arrival"
        self.n_done = 0
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.annotations: list[Answers] = []
        self.submits_of_post = 0
        self.most_submits = 0
        self.item_ratings: list[str] = []
        self.answers: Answers = {}
        self.routes: dict[tuple[str, str], Callable[[Answers], tuple[int, dict[str, str], str]]] = {}
        self.connections: set[int] = set()
        study = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or every answer waits for an acknowledgement

            def respond(self, sent: Answers) -> None:
                study.connections.add(self.client_address[1])
                path = urlsplit(self.path).path
                study.requests.append((self.command, self.path, dict(self.headers)))
                status, headers, body = study.handle(self.command, path, sent, self.headers.get("Cookie", ""))
                encoded = body.encode()
                self.send_response(status)
                for name, value in headers.items():
                    for line in value.split("\n"):
                        self.send_header(name, line)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)
                if path == "/hang-up":
                    self.close_connection = True

            def do_GET(self) -> None:
                self.respond(parse_qs(urlsplit(self.path).query, keep_blank_values=True))

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.respond(parse_qs(sent, keep_blank_values=True))

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test run quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def handle(self, method: str, path: str, sent: Answers, cookies: str) -> tuple[int, dict[str, str], str]:
        if (method, path) in self.routes:
            return self.routes[method, path](sent)
        if path == "/s/demo/":
            return (
                302,
                {"Location": "/now/", "Set-Cookie": "who=rater-1; Path=/; HttpOnly\ncsrf=token-1; Path=/"},
                "",
            )
        if path != "/now/" or "who=rater-1" not in cookies:
            return 403, {}, "Who are you?"
        if method == "GET":
            return 200, {}, self.page({})
        if sent.get("csrf") != ["token-1"] or "csrf=token-1" not in cookies:
            return 403, {}, "Forged"
        return self.take(sent)

    def take(self, sent: Answers) -> tuple[int, dict[str, str], str]:
        if self.step == "arrival":
            self.step = "consent"
        elif self.step == "consent":
            self.step = "labeling" if sent["consent"] == ["yes"] else "no_consent"
        elif self.step == "labeling":
            self.submits_of_post += 1
            self.most_submits = max(self.most_submits, self.submits_of_post)
            if any(name not in sent for name, _, _ in self.groups(sent)):
                return 200, {}, self.page(sent)
            self.annotations.append(sent)
            self.submits_of_post = 0
            self.advance(len(POSTS), "vcq")
        elif self.step == "vcq":
            self.item_ratings += sent["rating"]
            self.advance(len(ITEMS), "questionnaire")
        elif self.step == "questionnaire":
            self.answers = sent
            self.step = "completed"
        return 303, {"Location": "/now/"}, ""

    def advance(self, n: int, following: str) -> None:
        self.n_done += 1
        if self.n_done == n:
            self.step, self.n_done = following, 0

    def groups(self, sent: Answers) -> Iterator[tuple[str, str, list[str]]]:
        """Name, type and values of the groups that the answers so far have opened."""
        waiting = [TREE]
        while waiting:
            node = waiting.pop(0)
            below = [child for child in node.children if isinstance(child, Branch)]
            if below:
                marked = sent.get(f"open-{node.key}", [])
                yield (
                    f"open-{node.key}",
                    "checkbox" if node.several else "radio",
                    [b.key for b in below] + ["none"],
                )
                waiting += [child for child in below if child.key in marked]
            for child in node.children:
                if isinstance(child, str):
                    yield f"rate-{child}", "radio", [str(rating) for rating in range(7)]

    def page(self, sent: Answers) -> str:
        fields = '<input type="hidden" name="csrf" value="token-1">'
        article, form_id = "", ""
        if self.step == "consent":
            fields += inputs("consent", "radio", ["yes", "no"], sent)
        elif self.step == "labeling":
            article = f"<article data-post>{shown(POSTS[self.n_done])}</article>"
            form_id = "path-form"
            fields += "".join(inputs(name, kind, values, sent) for name, kind, values in self.groups(sent))
            fields += '<textarea name="rationale"></textarea>'
        elif self.step == "vcq":
            text, value = ITEMS[self.n_done]
            article = f"<article data-post>{shown(text)}</article>"
            ratings = inputs("rating", "radio", [str(rating) for rating in range(7)], sent)
            fields += f'<fieldset data-value="{value}">{ratings}</fieldset>'
        elif self.step == "questionnaire":
            fields += '<input type="number" name="age" min="18" max="99"><input name="remarks">'
            fields += inputs("gender", "radio", ["woman", "man", "other"], sent)
            fields += (
                '<select name="party"><option value="">Choose</option><option>democrat</option></select>'
            )
        elif self.step in ("completed", "no_consent"):
            code = f"<b data-completion-code>{CODE}</b>" if self.step == "completed" else ""
            return f'<main data-step="done" data-outcome="{self.step}">Thank you {code}</main>'
        form = f'<form id="{form_id}" method="post" action="/now/">{fields}<button>Go on</button></form>'
        return f'<nav><a href="/">P</a></nav><main data-step="{self.step}">{article}{form}</main>'


def shown(text: str) -> str:
    return f"<p data-post-text>\n  {escape(text).replace(chr(10), '<br>')}\n</p>"


def inputs(name: str, kind: str, values: list[str], sent: Answers) -> str:
    fields = ""
    for value in values:
        checked = "checked" if value in sent.get(name, []) else ""
        fields += f'<label><input type="{kind}" name="{name}" value="{value}" {checked}>{value}</label>'
    return fields


@pytest.fixture
def study():
    server = StudyServer()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def browser(study):
    with Browser(study.url, timeout_seconds=5) as browser:
        yield browser


def a_mind(seed=0, posts=POSTS) -> SimulatedMind:
    rng = np.random.default_rng(seed)
    parameters = load_parameters()
    keys = TREE.value_keys()
    population = Population.draw(1, keys, parameters, rng)
    profiles = {text: rng.standard_normal(len(keys)) for text in posts}
    return SimulatedMind(population, 0, profiles, TREE, parameters, (0, 6), rng)


class ScriptedMind:
    """Marks what it is told to, rates 3, and says no to consent if asked to."""

    def __init__(self, marks: dict[str, list[str]], consent: str = "yes") -> None:
        self.marks = marks
        self.consent = consent
        self.asked: list[str] = []

    def choose_branches(self, post_text, node_key, options):
        self.asked.append(node_key)
        return self.marks.get(node_key, ["none"])

    def rate(self, post_text, value_key, options):
        self.asked.append(value_key)
        return 3

    def question(self, post_text, value_key, options):
        return options[-1]

    def field(self, name, control):
        return self.consent if name == "consent" else (control.options or ["30"])[-1]


def test_a_simulated_rater_walks_the_study_to_its_code(study, browser):
    walk = walk_study(browser, "/s/demo/?PROLIFIC_PID=p1", a_mind())
    assert (walk.outcome, walk.completion_code) == ("completed", CODE)
    assert len(study.annotations) == len(POSTS)
    assert len(study.item_ratings) == len(ITEMS)
    assert walk.seconds > 0
    assert 18 <= int(study.answers["age"][0]) <= 99
    assert study.answers["party"] == ["democrat"]
    assert study.requests[0][1] == "/s/demo/?PROLIFIC_PID=p1"
    assert len(study.connections) == 1  # kept alive


@pytest.mark.parametrize("seed", range(5))
def test_what_the_server_receives_is_one_reading_of_each_post(study, browser, seed):
    mind = a_mind(seed)
    walk_study(browser, "/s/demo/", mind)
    for text, sent in zip(POSTS, study.annotations, strict=True):
        post_text = " ".join(text.split())
        for name in sent:
            kind, _, key = name.partition("-")
            if kind == "open":
                options = [child.key for child in NODES[key].children if isinstance(child, Branch)]
                assert sent[name] == mind.choose_branches(post_text, key, options)
            elif kind == "rate":
                assert sent[name] == [str(mind.rate(post_text, key, range(7)))]


def test_groups_are_answered_as_they_are_revealed_and_nothing_is_lost(study, browser):
    mind: Mind = ScriptedMind(
        {"post": ["self", "others"], "self": ["open"], "others": ["care", "keep"]}  # others takes one answer
    )
    walk = walk_study(browser, "/s/demo/", mind)
    first = study.annotations[0]
    assert first["open-post"] == ["self", "others"]
    assert first["open-others"] == ["care"]
    assert {name for name in first if name.startswith("rate-")} == {
        "rate-novelty",
        "rate-pleasure",
        "rate-caring",
        "rate-equality",
    }
    assert study.most_submits == 3  # one for each level of the tree
    # arrival, consent, three for each post, one for each item, the questionnaire and the last page
    assert walk.n_pages == 2 + 3 * len(POSTS) + len(ITEMS) + 2


def test_nothing_is_asked_of_the_mind_twice_for_one_post(study, browser):
    mind = ScriptedMind({"post": ["self"], "self": ["open"]})
    walk_study(browser, "/s/demo/", mind)
    once = ["post", "self", "novelty", "pleasure"]
    assert mind.asked == once * len(POSTS)


def test_none_of_these_ends_a_post_at_once(study, browser):
    walk_study(browser, "/s/demo/", ScriptedMind({}))
    assert study.most_submits == 1
    assert study.annotations[0]["open-post"] == ["none"]


def test_without_consent_there_is_no_code(study, browser):
    walk = walk_study(browser, "/s/demo/", ScriptedMind({}, consent="no"))
    assert (walk.outcome, walk.completion_code, walk.n_pages) == ("no_consent", None, 3)


def test_a_labeling_page_that_asks_the_same_again_ends_the_walk(study, browser):
    study.take = lambda sent: (200, {}, study.page(sent) + '<p role="alert">Not <b>so</b></p>')
    study.step = "labeling"
    with pytest.raises(PageError, match="asks the same again, and says: Not so"):
        walk_study(browser, "/s/demo/", ScriptedMind({}))


def test_an_unknown_step_ends_the_walk(study, browser):
    study.routes["GET", "/odd/"] = lambda sent: (200, {}, '<main data-step="raffle"></main>')
    with pytest.raises(PageError, match="raffle"):
        walk_study(browser, "/odd/", ScriptedMind({}))


def test_a_post_that_the_mind_does_not_know_is_named(study, browser):
    with pytest.raises(ValueError, match="Free hugs & free soup"):
        walk_study(browser, "/s/demo/", a_mind(posts=POSTS[1:]))


def test_an_error_of_the_server_is_raised_with_its_words(study, browser):
    with pytest.raises(PageError, match="Who are you") as caught:
        browser.get("/now/")
    assert (caught.value.status, caught.value.url) == (403, f"{study.url}/now/")


def test_cookies_keep_to_their_path_and_end_on_time(study, browser):
    lines = [
        "all=1; Path=/; HttpOnly; SameSite=Lax",
        "deep=2; Path=/a",
        "brief=3; Path=/; Max-Age=0",
        "old=4; Path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "later=5; Path=/; Max-Age=3600; expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "here=6",
    ]
    study.routes["GET", "/a/set"] = lambda sent: (200, {"Set-Cookie": "\n".join(lines)}, "")
    study.routes["GET", "/drop"] = lambda sent: (200, {"Set-Cookie": "all=; Path=/; Max-Age=0"}, "")
    browser.get("/a/set")
    assert browser.cookies("/") == {"all": "1", "later": "5"}
    assert browser.cookies("/a/b") == {"all": "1", "later": "5", "deep": "2", "here": "6"}
    assert "deep" not in browser.cookies("/ab")
    browser.get("/drop")
    assert browser.cookies("/") == {"later": "5"}


def test_a_redirect_after_a_post_is_fetched_and_308_is_posted_again(study, browser):
    seen: list[tuple[str, Answers]] = []

    def note(name, answer):
        def handle(sent):
            seen.append((name, sent))
            return answer

        return handle

    study.routes["POST", "/see-other"] = note("see-other", (303, {"Location": "end?x=1"}, ""))
    study.routes["POST", "/moved"] = note("moved", (308, {"Location": "/see-other"}, ""))
    study.routes["GET", "/end"] = note("end", (200, {}, "<p>end</p>"))
    form = Page(
        '<main><form method="post" action="/moved"><textarea name="t"></textarea></form></main>'
    ).form()
    page = browser.submit(form, {"t": "two\nlines"})
    assert seen == [
        ("moved", {"t": ["two\r\nlines"]}),
        ("see-other", {"t": ["two\r\nlines"]}),
        ("end", {"x": ["1"]}),
    ]
    assert page.redirected
    assert page.url == f"{study.url}/end?x=1"


def test_redirects_in_a_circle_and_to_another_host_are_refused(study, browser):
    study.routes["GET", "/circle"] = lambda sent: (302, {"Location": "/circle"}, "")
    study.routes["GET", "/away"] = lambda sent: (302, {"Location": "http://example.org/"}, "")
    with pytest.raises(PageError, match="more than 20 redirects"):
        browser.get("/circle")
    with pytest.raises(PageError, match="another host"):
        browser.get("/away")


def test_a_form_is_sent_as_served_but_for_the_answers(study, browser):
    seen: list[Answers] = []

    def handle(sent):
        seen.append(sent)
        return 200, {}, ""

    study.routes["GET", "/search"] = handle
    form = Page(
        '<main><form action="/search?old=1"><input type="hidden" name="h" value="1">'
        '<input name="q" value="a">'
        '<input type="checkbox" name="c" value="x" checked><input type="checkbox" name="c" value="y">'
        '<button name="do" value="go">Go</button><button name="do" value="stop">Stop</button></form></main>'
    ).form()
    browser.submit(form, {"q": "b &"})
    browser.submit(form, {"c": ["x", "y"], "do": "stop"})
    assert seen == [
        {"h": ["1"], "q": ["b &"], "c": ["x"], "do": ["go"]},
        {"h": ["1"], "q": ["a"], "c": ["x", "y"], "do": ["stop"]},
    ]


@pytest.mark.parametrize(
    ("answers", "message"),
    [({"b": "1"}, "has no field b"), ({"r": "9"}, "offers"), ({"r": ["0", "1"]}, "takes one answer")],
)
def test_an_answer_that_the_form_does_not_offer_is_refused(browser, answers, message):
    form = Page(
        "<main><form><input type=radio name=r value=0><input type=radio name=r value=1></form></main>"
    ).form()
    with pytest.raises(ValueError, match=message):
        browser.submit(form, answers)


def test_a_connection_that_the_server_let_go_is_opened_again(study, browser):
    study.routes["GET", "/hang-up"] = lambda sent: (200, {}, "bye")
    browser.get("/hang-up")
    assert browser.get("/s/demo/").find("data-step").attributes["data-step"] == "arrival"
    assert len(study.connections) == 2


def test_a_base_url_without_a_host_is_refused():
    with pytest.raises(ValueError, match="scheme and host"):
        Browser("localhost:8000")
