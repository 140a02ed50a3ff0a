/* Small kindnesses of the participant's pages; everything works without them. */
"use strict";

const DRAFT_DELAY_MS = 500;
const RETRY_MS = [2000, 4000, 8000, 15000];
const MAX_CHANGES = 400;

/* --- what a page notes of its use, sent with its answers ----------------------------------------- */

const shown = Date.now();
const clock = () => Math.round(performance.now());
const notes = { changes: [], away: 0, awayMs: 0, leftAt: null };

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { notes.away += 1; notes.leftAt = clock(); return; }
  if (notes.leftAt !== null) { notes.awayMs += clock() - notes.leftAt; notes.leftAt = null; }
});

function tellNotes() {
  return JSON.stringify({
    shown, answered_ms: clock(), away: notes.away, away_ms: notes.awayMs,
    viewport: [window.innerWidth, window.innerHeight], changes: notes.changes,
  });
}

/* --- drafts: what is answered is kept before it is submitted ------------------------------------- */

let draftTimer = null;
let draftNumber = 0;

function keepDraft() {
  clearTimeout(draftTimer);
  const saver = document.querySelector("[data-draft]");
  if (saver) htmx.trigger(saver, "keep");
}

function noteChange(event) {
  const field = event.target;
  if (!field.form || !field.form.querySelector("[data-draft]")) return;
  if (event.type === "change" && notes.changes.length < MAX_CHANGES) notes.changes.push([clock(), field.name.slice(0, 80)]);
  clearTimeout(draftTimer);
  draftTimer = setTimeout(keepDraft, DRAFT_DELAY_MS);
}
document.addEventListener("input", noteChange);
document.addEventListener("change", noteChange);
document.addEventListener("visibilitychange", () => { if (document.hidden && draftTimer) keepDraft(); });

/* --- sending: once, and again by itself when the connection was gone ----------------------------- */

const waiting = { timer: null, button: null, tries: 0 };

function tell(which) {
  const box = document.querySelector("[data-connection]");
  if (!box) return;
  box.hidden = which === null;
  box.querySelector("[data-lost]").hidden = which !== "lost";
  box.querySelector("[data-refused]").hidden = which !== "refused";
}

function tryAgain() {
  if (waiting.timer === null) return;
  clearTimeout(waiting.timer);
  waiting.timer = null;
  const form = document.querySelector("main form[hx-post]");
  if (form) form.requestSubmit(waiting.button && form.contains(waiting.button) ? waiting.button : undefined);
}

function sendLater(which) {
  tell(which);
  clearTimeout(waiting.timer);
  waiting.timer = setTimeout(tryAgain, RETRY_MS[Math.min(waiting.tries, RETRY_MS.length - 1)]);
  waiting.tries += 1;
}

window.addEventListener("online", tryAgain);

const isAnswer = (event) => event.detail.elt.matches("form");

document.addEventListener("htmx:configRequest", (event) => {
  const { elt, parameters } = event.detail;
  if (elt.matches("[data-draft], [data-path]")) parameters["draft-number"] = draftNumber += 1;
  if (!isAnswer(event)) return;
  clearTimeout(draftTimer);
  parameters.paradata = tellNotes();
  if (waiting.tries > 0) parameters.retry = "yes";
});
["htmx:sendError", "htmx:timeout"].forEach((name) => {
  document.addEventListener(name, (event) => { if (isAnswer(event)) sendLater("lost"); else tell("lost"); });
});
document.addEventListener("htmx:responseError", (event) => { if (isAnswer(event)) sendLater("refused"); });
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.xhr.status >= 500 || (waiting.timer !== null && !isAnswer(event))) return;
  tell(null);
  if (isAnswer(event)) waiting.tries = 0;
});

/* Without htmx a form goes out once; a double click does not send it twice. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  waiting.button = event.submitter;
  if (!form.matches("[data-once]") || form.hasAttribute("hx-post")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  form.querySelectorAll("button[type=submit]").forEach((button) => button.setAttribute("aria-disabled", "true"));
});

/* A page that comes back from the browser's history can be sent again. */
window.addEventListener("pageshow", () => {
  document.querySelectorAll("[data-once]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button[type=submit]").forEach((button) => button.removeAttribute("aria-disabled"));
  });
});

/* --- the value tree ------------------------------------------------------------------------------- */

/* A mark brings the questions below it; "None of these" and the branches beside it exclude one another. What sends
   it to the server stands around the form, which each answer replaces: a mark counts from the moment it can be made. */
document.addEventListener("change", (event) => {
  const box = event.target;
  if (!box.matches("[data-branch], [data-none]")) return;
  if (box.type === "checkbox" && box.checked) {
    const others = box.closest("fieldset").querySelectorAll(box.matches("[data-none]") ? "[data-branch]" : "[data-none]");
    others.forEach((other) => { other.checked = false; });
  }
  const path = box.closest("[data-path]");
  if (path) htmx.trigger(path, "mark");
});

/* An answer such as "none of them" and the other answers exclude one another. */
document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.type !== "checkbox" || !box.checked || box.matches("[data-branch], [data-none]")) return;
  box.closest("fieldset")?.querySelectorAll("input[type=checkbox]").forEach((other) => {
    if (other !== box && other.name === box.name && (box.matches("[data-exclusive]") || other.matches("[data-exclusive]"))) other.checked = false;
  });
});

/* A digit chooses that number on the scale that has the focus. */
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !/^[0-9]$/.test(event.key)) return;
  if (!event.target.matches(".level input")) return;
  const levels = [...event.target.closest(".levels").querySelectorAll("input")];
  const wanted = levels.find((level) => level.nextElementSibling.textContent === event.key);
  if (!wanted) return;
  event.preventDefault();
  wanted.focus();
  wanted.click();
});

/* A press has to end on what it began on: while a finger, the mouse or the space bar is down, the form stays. */
const press = { isDown: false, hasAnswer: false };
const isPress = ({ type, key, button, target }) => type.startsWith("key") ? key === " " && !target.matches("textarea") : button !== 2;
["pointerdown", "keydown"].forEach((name) => window.addEventListener(name, (event) => { press.isDown ||= isPress(event); }));
["pointerup", "pointercancel", "keyup", "blur"].forEach((name) => window.addEventListener(name, (event) => {
  if (!isPress(event)) return;
  if (press.hasAnswer) setTimeout(() => htmx.trigger("[data-path]", "mark")); // asked again, after what the press does
  press.isDown = press.hasAnswer = false;
}));

/* The form that a mark brings knows only what was sent with it; what was answered since then is put back. */
let answered = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const form = document.getElementById("path-form");
  if (!form || event.detail.target !== form) { answered = null; return; }
  if (form.classList.contains("htmx-request")) { event.detail.shouldSwap = false; return; } // it is on its way
  if (press.isDown) { event.detail.shouldSwap = false; press.hasAnswer = true; return; }
  const why = form.elements.rationale;
  answered = {
    ratings: [...form.querySelectorAll("[name^=rate-]:checked")].map((level) => level.id),
    rationale: why?.value,
    isOpen: why?.closest("details").open,
    isWriting: why && document.activeElement === why,
  };
});
document.addEventListener("htmx:afterSwap", () => {
  if (answered) {
    const form = document.getElementById("path-form");
    answered.ratings.map((id) => form.elements[id]).forEach((level) => { if (level) level.checked = true; });
    const why = form.elements.rationale;
    if (why) {
      why.value = answered.rationale;
      why.closest("details").open = answered.isOpen;
      if (answered.isWriting) why.focus();
    }
    answered = null;
  }
  showAttention();
});

/* What needs attention gets the focus. */
function showAttention() { document.querySelector("[data-focus]")?.focus(); }
showAttention();
