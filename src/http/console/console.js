// Comfort only: every page works without it. `/` goes to the search field, `j` and `k` go through a list, `?` shows the keys.
// Somebody who speaks to their machine may type letters by accident, so the keys can be turned off.
"use strict";

const OFF = "lacuna-keys-off";

const keysAreOff = () => {
  try {
    return localStorage.getItem(OFF) === "yes";
  } catch {
    return false;
  }
};

const isWriting = (element) => element.closest("input, select, textarea, [contenteditable]") !== null;

// The rows of the lists on this page, each by its first link.
const rows = () =>
  [...document.querySelectorAll("main tbody tr, main [data-row]")]
    .map((row) => row.querySelector("a[href]"))
    .filter((link) => link !== null);

const step = (by) => {
  const links = rows();
  if (links.length === 0) return;
  const row = document.activeElement.closest("tr, [data-row]");
  const here = links.findIndex((link) => row !== null && row.contains(link));
  const next = here === -1 ? (by > 0 ? 0 : links.length - 1) : here + by;
  links[Math.min(Math.max(next, 0), links.length - 1)].focus();
};

const dialog = document.getElementById("keys");
const toggle = document.getElementById("keys-toggle");

const name = () => {
  toggle.textContent = keysAreOff() ? "Turn the keys on" : "Turn the keys off";
};

if (dialog !== null && toggle !== null) {
  name();
  toggle.addEventListener("click", () => {
    try {
      localStorage.setItem(OFF, keysAreOff() ? "no" : "yes");
    } catch {
      // This browser keeps nothing: the keys stay as they are.
    }
    name();
  });
  const opener = document.getElementById("keys-open");
  if (opener !== null) {
    opener.hidden = false;
    opener.addEventListener("click", () => dialog.showModal());
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
  if (keysAreOff() || (dialog !== null && dialog.open)) return;
  switch (event.key) {
    case "/":
      document.getElementById("q")?.focus();
      break;
    case "j":
      step(1);
      break;
    case "k":
      step(-1);
      break;
    case "?":
      dialog?.showModal();
      break;
    default:
      return;
  }
  event.preventDefault();
});

// A form that was sent is not sent again by a second click; the page that follows says what came of it.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  const button = event.submitter;
  if (button) setTimeout(() => { button.disabled = true; }, 0);
});
// A page that is come back to is as it was before.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
});
