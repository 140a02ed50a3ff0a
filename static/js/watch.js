/* The page of a running study asks for news while it is looked at, unless it was paused. Without this file it stays
   as it was loaded, with a link to load it again. */
"use strict";

const poller = document.querySelector("[data-poll]");
const pauser = document.querySelector("[data-pause]");
const stale = document.querySelector("[data-stale]");
let isPaused = false;

pauser.hidden = false;
pauser.addEventListener("click", () => {
  isPaused = !isPaused;
  pauser.textContent = isPaused ? pauser.dataset.goOn : pauser.dataset.pause;
  if (!isPaused) htmx.trigger(poller, "look");
});

document.addEventListener("visibilitychange", () => { if (!document.hidden) htmx.trigger(poller, "look"); });

document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt === poller && (isPaused || document.hidden)) event.preventDefault();
});

/* A login that has run out answers too, with another page: what counts is whether these are the numbers. */
document.body.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.elt !== poller) return;
  const answer = event.detail.xhr;
  stale.hidden = event.detail.successful && answer.responseText.includes("data-seen-at");
});
