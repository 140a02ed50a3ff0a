"""A simulated rater's browser, and the walk through the study: served pages in, filled-in forms out.

It behaves as a browser without scripts and knows nothing of the server but its pages. `walk_study`
follows the steps that a page names in `<main data-step="...">` and asks a `Mind` for every answer.
"""

import http.client
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import urlencode, urljoin, urlsplit

from modeling.simulation.mind import Mind, SimulatedMind
from modeling.simulation.page import Answer, Control, Form, Page, PageError

# All that it takes to send a rater through a study, in one place to import from.
__all__ = ["Browser", "Control", "Form", "Mind", "Page", "PageError", "SimulatedMind", "Walk", "walk_study"]

MAX_REDIRECTS = 20
MAX_PAGES = 5000


@dataclass(frozen=True)
class _Cookie:
    value: str
    path: str
    expires: float | None


class Browser:
    """A browser without scripts for one host: it keeps cookies and one connection, and follows redirects.

    Parameters
    ----------
    base_url : str
        Scheme and host, such as "http://localhost:8000"; every page must lie there.
    timeout_seconds : float
        How long to wait for the server.

    Raises
    ------
    ValueError
        If `base_url` has no http or https scheme, or no host.
    """

    def __init__(self, base_url: str, *, timeout_seconds: float = 60.0) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url is {base_url!r}; give scheme and host, such as http://localhost:8000")
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.url = base_url
        self._origin = (parts.scheme, parts.netloc)
        self._connection = connect(parts.hostname, parts.port, timeout=timeout_seconds)
        self._cookies: dict[tuple[str, str], _Cookie] = {}

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request would open it again."""
        self._connection.close()

    def cookies(self, path: str = "/") -> dict[str, str]:
        """The cookies that a request for `path` carries; of two with one name, that of the longer path."""
        now = time.time()
        return {
            name: cookie.value
            for (name, _), cookie in sorted(self._cookies.items(), key=lambda item: len(item[1].path))
            if (cookie.expires is None or cookie.expires > now) and _path_matches(path, cookie.path)
        }

    def get(self, path: str) -> Page:
        """Open a page, by its path or its full address.

        Raises
        ------
        PageError
            If the answer is not a 2xx page, lies on another host, or redirects do not end.
        """
        return self._load("GET", urljoin(self.url, path), None)

    def submit(self, form: Form, answers: Mapping[str, Answer]) -> Page:
        """Fill in a form of the current page and send it as a browser does.

        Parameters
        ----------
        answers : mapping of control name to str or sequence of str
            What to change; every other control is sent as it was served. Without a button among
            the answers, the form's first one is pressed.

        Raises
        ------
        ValueError
            If an answer names no control of the form, or an option that the control does not offer.
        PageError
            As `get`.
        """
        unknown = sorted(set(answers) - set(form.controls))
        if unknown:
            raise ValueError(
                f"the form at {self.url} has no field {', '.join(unknown)}; it has {list(form.controls)}"
            )
        pairs: list[tuple[str, str]] = []
        for control in form.controls.values():
            values = (
                _checked_answer(control, answers[control.name]) if control.name in answers else control.values
            )
            # HTML sends the line breaks of a text as CR LF.
            pairs += [(control.name, re.sub(r"\r\n|\r|\n", "\r\n", value)) for value in values]
        button = form.default_button
        if (
            button is not None
            and button.name
            and not any(form.controls[name].kind == "submit" for name in answers)
        ):
            pairs.append((button.name, button.options[0]))
        target = urljoin(self.url, form.action or self.url)
        if form.method == "post":
            return self._load("POST", target, urlencode(pairs))
        return self._load("GET", urlsplit(target)._replace(query=urlencode(pairs)).geturl(), None)

    def _load(self, method: str, url: str, body: str | None) -> Page:
        for n_redirects in range(MAX_REDIRECTS + 1):
            status, location, text = self._exchange(method, url, body)
            self.url = url
            if status not in (301, 302, 303, 307, 308) or location is None:
                page = Page(text, url=url, status=status, redirected=n_redirects > 0)
                if not 200 <= status < 300:
                    raise page.problem("the server answered with an error")
                return page
            if status in (301, 302, 303):
                method, body = "GET", None
            url = urljoin(url, location)
        raise PageError(f"more than {MAX_REDIRECTS} redirects", status=status, url=url, text=text)

    def _exchange(self, method: str, url: str, body: str | None) -> tuple[int, str | None, str]:
        """One request and its answer: status, the Location header, and the text."""
        parts = urlsplit(url)
        if (parts.scheme, parts.netloc) != self._origin:
            raise PageError("the way leads to another host", status=0, url=url, text="")
        path = parts.path or "/"
        headers = {
            "Accept": "text/html",
            "Accept-Language": "en",
            "Referer": self.url,  # Django asks for it on https
            "User-Agent": "Parallax simulated rater",
        }
        cookies = self.cookies(path)
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        response = self._answer_to(method, f"{path}?{parts.query}" if parts.query else path, body, headers)
        text = response.read().decode(response.headers.get_content_charset() or "utf-8", errors="replace")
        for header in response.headers.get_all("Set-Cookie") or []:
            self._keep_cookie(header, path)
        return response.status, response.headers.get("Location"), text

    def _answer_to(
        self, method: str, target: str, body: str | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        is_reused = self._connection.sock is not None
        try:
            self._connection.request(method, target, body, headers)
            return self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            if not is_reused:
                raise
        # The server had let the idle connection go; a browser then tries once more on a fresh one.
        self._connection.request(method, target, body, headers)
        return self._connection.getresponse()

    def _keep_cookie(self, header: str, request_path: str) -> None:
        pair, *settings = header.split(";")
        name, _, value = (part.strip() for part in pair.partition("="))
        split_settings = (setting.partition("=") for setting in settings)
        attributes = {key.strip().lower(): text.strip() for key, _, text in split_settings}
        path = attributes.get("path", "")
        if not path.startswith("/"):
            path = request_path.rpartition("/")[0] or "/"
        expires = _expiry(attributes)
        if expires is not None and expires <= time.time():
            self._cookies.pop((name, path), None)
        else:
            self._cookies[name, path] = _Cookie(value, path, expires)


@dataclass(frozen=True)
class Walk:
    """How a walk went.

    Attributes
    ----------
    n_pages : int
        Pages seen; redirects are not counted.
    outcome : str
        What the last page says of it, such as "completed" or "no_consent".
    completion_code : str or None
        None if the last page shows no code.
    seconds : float
        From the first request to the last page.
    """

    n_pages: int
    outcome: str
    completion_code: str | None
    seconds: float


def walk_study(browser: Browser, entry_url: str, mind: Mind) -> Walk:
    """Walk a study from its entry link to the page that ends it.

    A page that answers a form directly, without a redirect, and asks the same again has refused the
    answers. A labeling form may come back so as long as every time it asks something new, which no value tree
    does more often than it has levels; what was answered before is then sent again.

    Raises
    ------
    PageError
        If a page cannot be had, names no known step, lacks what its step promises or refuses the
        answers, or if the walk does not end within 5,000 pages.
    ValueError
        If the mind gives an answer that the page does not offer.
    """
    started = time.monotonic()
    page = browser.get(entry_url)
    answered: dict[str, Answer] = {}
    for n_pages in range(1, MAX_PAGES + 1):
        main = page.find("data-step")
        step = main.attributes["data-step"] if main is not None else None
        if main is not None and step == "done":
            code = page.find("data-completion-code")
            return Walk(
                n_pages=n_pages,
                outcome=main.attributes.get("data-outcome", ""),
                completion_code=code.text or None if code is not None else None,
                seconds=time.monotonic() - started,
            )
        if step == "arrival":
            following = browser.submit(page.form(), {})
        elif step in ("consent", "questionnaire"):
            form = page.form()
            following = browser.submit(
                form,
                {
                    asked.name: mind.field(asked.name, asked)
                    for asked in form.questions()
                    if not asked.is_refusal  # the field beside it is answered
                },
            )
        elif step == "vcq":
            following = _answer_item(browser, page, mind)
        elif step in ("instructions", "debrief"):
            following = browser.submit(page.form(), {})
        elif step == "attention_check":
            following = _pass_check(browser, page, mind)
        elif step in ("training", "gating", "labeling"):
            following = _label(browser, page, mind, answered)
        else:
            raise page.problem(f"the page names the step {step!r}, which is not known")
        if not following.redirected and _asks(following) == _asks(page):
            alerts = [each.text for each in following.elements if each.attributes.get("role") == "alert"]
            raise following.problem(
                f"the page asks the same again, and says: {' '.join(alerts) or 'nothing'}"
            )
        if following.redirected or _post(following) != _post(page):
            answered = {}
        page = following
    raise page.problem(f"the walk did not end within {MAX_PAGES} pages")


def _label(browser: Browser, page: Page, mind: Mind, answered: dict[str, Answer]) -> Page:
    """Answer what is new in the labeling form, note it in `answered`, and send everything."""
    form = page.form(identifier="path-form")
    post_text = _post_text(page)
    for asked in form.questions():
        kind, _, key = asked.name.partition("-")
        if asked.name in answered:
            continue
        if kind == "open":
            chosen = mind.choose_branches(post_text, key, asked.options)
            answered[asked.name] = chosen if asked.takes_several else chosen[:1]
        elif kind == "rate":
            answered[asked.name] = str(mind.rate(post_text, key, _integers(page, asked)))
        else:
            answered[asked.name] = mind.field(asked.name, asked)
    return browser.submit(form, {name: answer for name, answer in answered.items() if name in form.controls})


def _pass_check(browser: Browser, page: Page, mind: Mind) -> Page:
    form = page.form()
    riddle = page.find("data-riddle")
    if riddle is not None:
        return browser.submit(form, {"seen": mind.solve(riddle.text)})
    return browser.submit(form, {asked.name: mind.field(asked.name, asked) for asked in form.questions()})


def _answer_item(browser: Browser, page: Page, mind: Mind) -> Page:
    form = page.form(having="rating")
    asked = page.find("data-value")
    if asked is None:
        raise page.problem("the question does not say which value it asks, in data-value")
    options = _integers(page, form.controls["rating"])
    rating = mind.question(_post_text(page), asked.attributes["data-value"], options)
    others = [control for control in form.questions() if control.name != "rating"]
    return browser.submit(
        form,
        {"rating": str(rating), **{control.name: mind.field(control.name, control) for control in others}},
    )


def _post(page: Page) -> tuple[str, str] | None:
    """What tells the post on a page from another one: its number, if it has one, and its words."""
    article = page.find("data-post")
    text = page.find("data-post-text")
    if article is None:
        return None
    return article.attributes["data-post"], text.text if text is not None else ""


def _asks(page: Page) -> tuple[object, ...]:
    step = page.find("data-step")
    value = page.find("data-value")
    names = [tuple(control.name for control in form.questions()) for form in page.forms if form.in_main]
    return (
        step.attributes["data-step"] if step is not None else None,
        _post(page),
        value.attributes["data-value"] if value is not None else None,
        tuple(names),
    )


def _post_text(page: Page) -> str:
    element = page.find("data-post-text")
    if element is None:
        raise page.problem("the page shows no post, in data-post-text")
    return element.text


def _integers(page: Page, control: Control) -> list[int]:
    try:
        return [int(option) for option in control.options]
    except ValueError:
        raise page.problem(
            f"the ratings of {control.name} are not whole numbers: {control.options}"
        ) from None


def _checked_answer(control: Control, answer: Answer) -> list[str]:
    values = [answer] if isinstance(answer, str) else list(answer)
    if control.is_choice and not set(values) <= set(control.options):
        raise ValueError(f"field {control.name} offers {control.options}, not {values}")
    if len(values) > 1 and not control.takes_several:
        raise ValueError(f"field {control.name} is a {control.kind} and takes one answer, not {values}")
    return values


def _expiry(attributes: Mapping[str, str]) -> float | None:
    """When a cookie ends, in seconds since 1970; None: with the session. Max-Age goes before Expires."""
    if re.fullmatch(r"-?\d+", attributes.get("max-age", "")):
        return time.time() + int(attributes["max-age"])
    try:
        return parsedate_to_datetime(attributes["expires"]).timestamp()
    except (KeyError, ValueError):
        return None


def _path_matches(request_path: str, cookie_path: str) -> bool:
    return request_path == cookie_path or request_path.startswith(cookie_path.rstrip("/") + "/")
