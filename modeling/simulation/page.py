"""A served HTML page, parsed for what a rater can read and do: forms, `data-` attributes and links."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TypeAlias

Answer: TypeAlias = str | Sequence[str]

_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
)
_BREAKS_TEXT = frozenset(
    (
        "article",
        "blockquote",
        "br",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "label",
        "legend",
        "li",
        "p",
        "section",
        "td",
        "tr",
    )
)
_SILENT = frozenset(("script", "style", "template", "title"))


class PageError(Exception):
    """A page that cannot be used, or a walk that leads nowhere.

    Attributes
    ----------
    status : int
        HTTP status of the page; 0 if there was no answer.
    url : str
        Its address.
    excerpt : str
        The first 300 characters of what it says.
    """

    def __init__(self, problem: str, *, status: int, url: str, text: str) -> None:
        self.status = status
        self.url = url
        self.excerpt = text[:300]
        super().__init__(f"{problem} (status {status}, {url}): {self.excerpt}")


@dataclass
class Control:
    """All fields of one name in a form, which together take one answer.

    Attributes
    ----------
    name : str
    kind : str
        "radio", "checkbox", "select", "select-multiple", "textarea", "submit", or an input's type.
    options : list of str
        The values on offer, of radios, checkboxes, selects and submit buttons.
    values : list of str
        What a browser would send now: the checked, selected or prefilled values.
    attributes : dict of str to str
        Those of the first tag, such as `min`, `max` and `required`.
    exclusive : list of str
        The options that the page says go with no other, by `data-exclusive`.
    """

    name: str
    kind: str
    options: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    exclusive: list[str] = field(default_factory=list)

    @property
    def is_choice(self) -> bool:
        """Whether only `options` may be answered."""
        return self.kind in ("radio", "checkbox", "select", "select-multiple", "submit")

    @property
    def takes_several(self) -> bool:
        """Whether more than one option may be answered."""
        return self.kind in ("checkbox", "select-multiple")

    @property
    def is_refusal(self) -> bool:
        """Whether this only offers not to answer the field beside it: "prefer not to say"."""
        return self.kind == "checkbox" and set(self.options) == set(self.exclusive)


@dataclass
class Form:
    """A form as served, with its enabled and named controls in page order.

    Attributes
    ----------
    action : str
        Where it goes; "" for the page itself.
    method : str
        "get" or "post".
    identifier : str
        Its `id`.
    in_main : bool
        Whether it stands in `<main>`.
    controls : dict of str to Control
    default_button : Control or None
        The button that the return key presses: the first one. Its name may be empty.
    """

    action: str
    method: str
    identifier: str = ""
    in_main: bool = False
    controls: dict[str, Control] = field(default_factory=dict)
    default_button: Control | None = None

    def questions(self) -> list[Control]:
        """The controls that a person answers: neither hidden fields nor buttons."""
        return [control for control in self.controls.values() if control.kind not in ("hidden", "submit")]

    def enter(self, control: Control) -> Control:
        """Add a field; one with a name the form already knows joins that control, which is returned."""
        if control.kind == "submit" and self.default_button is None:
            self.default_button = Control(control.name, "submit", list(control.options))
        if not control.name:
            return control
        known = self.controls.setdefault(control.name, control)
        if known is not control:
            known.options += control.options
            known.exclusive += control.exclusive
            # Of radios marked twice a browser keeps the last; everything else adds up.
            known.values = (
                (control.values or known.values) if control.kind == "radio" else known.values + control.values
            )
        return known


@dataclass
class Element:
    """An element with a `data-` attribute or a role. In its text, runs of white space are one space."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass(frozen=True)
class Link:
    """Where an `<a href>` leads, and its words."""

    href: str
    text: str


class Page:
    """A page as a rater's browser received it.

    Parameters
    ----------
    body : str
        The HTML.
    url : str
        The final address.
    status : int
        The HTTP status.
    redirected : bool
        Whether a redirect led here.

    Attributes
    ----------
    text : str
        What `<main>` says, or without one the whole page.
    forms : list of Form
    elements : list of Element
    links : list of Link
        Each in page order.
    """

    def __init__(self, body: str, *, url: str = "", status: int = 200, redirected: bool = False) -> None:
        self.url = url
        self.status = status
        self.redirected = redirected
        parser = _PageParser()
        parser.feed(body)
        parser.finish()
        self.text = parser.text
        self.forms = parser.forms
        self.elements = parser.elements
        self.links = parser.links

    def find(self, attribute: str) -> Element | None:
        """The first element with this attribute, such as `find("data-post")`."""
        return next((element for element in self.elements if attribute in element.attributes), None)

    def form(self, *, identifier: str = "", having: str = "") -> Form:
        """The form with this id, or with this control, or else that of `<main>` that asks most.

        Raises
        ------
        PageError
            If the page has no such form.
        """
        fitting = [
            form
            for form in self.forms
            if (form.identifier == identifier if identifier else True)
            and (having in form.controls if having else True)
            and (form.in_main or identifier or having)
        ]
        if not fitting:
            raise self.problem(f"the page has no form {identifier or having or 'in <main>'}")
        return max(fitting, key=lambda form: len(form.questions()))

    def problem(self, what: str) -> PageError:
        """A `PageError` about this page, to be raised by the caller."""
        return PageError(what, status=self.status, url=self.url, text=self.text)


@dataclass
class _OpenTag:
    tag: str
    attributes: dict[str, str]
    heard: list[str] = field(default_factory=list)
    element: Element | None = None
    form: Form | None = None

    def text(self) -> str:
        return " ".join("".join(self.heard).split())


class _PageParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.forms: list[Form] = []
        self.elements: list[Element] = []
        self.links: list[Link] = []
        self._page = _OpenTag("", {})
        self._open = [self._page]
        self._elsewhere: list[tuple[str, Control]] = []
        self._select: Control | None = None
        self._option: _OpenTag | None = None

    def finish(self) -> None:
        """Take what is still open as ended, and hand fields outside a form to the form they name."""
        self.close()
        while self._open:
            self._leave(self._open.pop())
        self.text = self.text or self._page.text()
        for form_id, control in self._elsewhere:
            for form in self.forms:
                if form.identifier == form_id:
                    form.enter(control)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        opened = _OpenTag(tag, {name: value or "" for name, value in attrs})
        attributes = opened.attributes
        if tag in _BREAKS_TEXT:
            self.handle_data("\n")
        if any(name.startswith("data-") or name == "role" for name in attributes):
            opened.element = Element(tag, attributes)
            self.elements.append(opened.element)
        if tag == "form":
            opened.form = Form(
                action=attributes.get("action", ""),
                method=attributes.get("method", "get").lower(),
                identifier=attributes.get("id", ""),
                in_main=any(other.tag == "main" for other in self._open),
            )
            self.forms.append(opened.form)
        elif tag == "input":
            self._take_input(attributes)
        elif tag == "button" and attributes.get("type", "submit").lower() == "submit":
            self._take(attributes, "submit", [attributes.get("value", "")], [])
        elif tag == "select":
            kind = "select-multiple" if "multiple" in attributes else "select"
            self._select = self._take(attributes, kind, [], [])
        elif tag == "option":
            self._end_option()
            self._option = opened
        if tag not in _VOID:
            self._open.append(opened)

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS_TEXT:
            self.handle_data("\n")
        if any(opened.tag == tag for opened in self._open):
            opened = self._open.pop()
            while opened.tag != tag:  # a tag left open, such as <p>, ends with the one around it
                self._leave(opened)
                opened = self._open.pop()
            self._leave(opened)

    def handle_data(self, data: str) -> None:
        if not any(opened.tag in _SILENT for opened in self._open):
            for opened in self._open:
                opened.heard.append(data)

    def _leave(self, opened: _OpenTag) -> None:
        if opened.element is not None:
            opened.element.text = opened.text()
        if opened.tag == "main":
            self.text = opened.text()
        elif opened.tag == "a" and "href" in opened.attributes:
            self.links.append(Link(opened.attributes["href"], opened.text()))
        elif opened.tag == "textarea":
            # HTML drops one line break right after the tag.
            self._take(opened.attributes, "textarea", [], [re.sub(r"^\r?\n", "", "".join(opened.heard))])
        elif opened.tag == "option":
            self._end_option()
        elif opened.tag == "select":
            self._end_option()
            if self._select is not None and self._select.kind == "select":
                # A browser shows, and sends, the first option when none is marked.
                self._select.values = self._select.values[-1:] or self._select.options[:1]
            self._select = None

    def _end_option(self) -> None:
        opened, self._option = self._option, None
        if opened is None or self._select is None or "disabled" in opened.attributes:
            return
        value = opened.attributes.get("value", opened.text())
        self._select.options.append(value)
        if "selected" in opened.attributes:
            self._select.values.append(value)

    def _take_input(self, attributes: dict[str, str]) -> None:
        kind = attributes.get("type", "text").lower()
        if kind in ("radio", "checkbox"):
            value = attributes.get("value", "on")
            self._take(attributes, kind, [value], [value] if "checked" in attributes else [])
        elif kind == "submit":
            self._take(attributes, kind, [attributes.get("value", "")], [])
        elif kind not in ("button", "reset", "image"):
            self._take(attributes, kind, [], [attributes.get("value", "")])

    def _take(
        self, attributes: dict[str, str], kind: str, options: list[str], values: list[str]
    ) -> Control | None:
        """Enter a field into its form. None if a browser would never send it."""
        locked = any(opened.tag == "fieldset" and "disabled" in opened.attributes for opened in self._open)
        if locked or "disabled" in attributes:
            return None
        exclusive = list(options) if "data-exclusive" in attributes else []
        control = Control(attributes.get("name", ""), kind, options, values, attributes, exclusive)
        if "form" in attributes:
            self._elsewhere.append((attributes["form"], control))
            return control
        for opened in reversed(self._open):
            if opened.form is not None:
                return opened.form.enter(control)
        return None
