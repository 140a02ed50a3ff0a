/* Small kindnesses of the participant's pages; everything works without them. */
"use strict";

/* A form goes out once; a double click does not send it twice. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
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

/* A mark brings the questions below it; "None of these" and the branches beside it exclude one another. What sends
   it to the server stands around the form, which each answer replaces: a mark counts from the moment it can be made. */
document.addEventListener("change", (event) => {
  const box = event.target;
  if (!box.matches("[data-branch], [data-none]")) return;
  if (box.type === "checkbox" && box.checked) {
    const others = box.closest("fieldset").querySelectorAll(box.matches("[data-none]") ? "[data-branch]" : "[data-none]");
    others.forEach((other) => { other.checked = false; });
  }
  htmx.trigger(box.closest("[data-path]"), "mark");
});

/* The form that a mark brings knows only what was sent with it; what was answered since then is put back. */
let answered = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const form = document.getElementById("path-form");
  answered = {
    ratings: [...form.querySelectorAll("[name^=rate-]:checked")].map((level) => level.id),
    rationale: form.elements.rationale.value,
    isOpen: form.querySelector("details").open,
    isWriting: document.activeElement === form.elements.rationale,
  };
});
document.addEventListener("htmx:afterSwap", () => {
  const form = document.getElementById("path-form");
  answered.ratings.map((id) => form.elements[id]).forEach((level) => { if (level) level.checked = true; });
  form.elements.rationale.value = answered.rationale;
  form.querySelector("details").open = answered.isOpen;
  if (answered.isWriting) form.elements.rationale.focus();
});

/* What needs attention gets the focus. */
document.querySelector("[data-focus]")?.focus();
