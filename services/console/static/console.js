// What the pages do in the browser. Everything shown comes from the server; text goes in as text.
import { startForms } from "./forms.js";
import { startLive } from "./live.js";
import { startMedia } from "./media.js";
import { showTimes } from "./times.js";
import { toast } from "./toast.js";

const TOLD_MS = 10000;
const modal = document.getElementById("modal");

function openModal() {
  document.getElementById("modal-body").replaceChildren();
  if (!modal.open) modal.showModal();
}

document.addEventListener("click", (event) => {
  const target = event.target;
  if (target.closest("[data-modal]")) openModal();
  if (target === modal) modal.close();
  const copy = target.closest("[data-copy]");
  if (copy) copyText(copy);
  const tab = target.closest("[role=tab]");
  if (tab) selectTab(tab);
  const mode = target.closest("[data-mode]");
  if (mode) selectMode(mode);
  const row = target.closest(".payload-row");
  if (row) pressOnly(row, row.closest(".evidence").querySelectorAll(".payload-row"));
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("search").select();
  }
  if (event.target.matches("[role=tab]")) moveTab(event);
});

document.body.addEventListener("htmx:afterRequest", (event) => {
  const { elt, successful } = event.detail;
  if (successful && elt.matches("[data-closes-modal]")) modal.close();
});
modal.addEventListener("close", () => document.getElementById("modal-body").replaceChildren());

// The line that proves it is seen without scrolling; the page itself stays where it is.
function showProof(part) {
  const proof = part.querySelector?.(".proof");
  const box = proof?.closest("pre");
  if (box) box.scrollTop += proof.getBoundingClientRect().top - box.getBoundingClientRect().top - 96;
}

async function copyText(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    return; // the browser does not allow it here; the text stays selectable
  }
  button.classList.add("done");
  button.title = document.body.dataset.copied;
  setTimeout(() => button.classList.remove("done"), 1500);
}

function selectTab(tab) {
  for (const other of tab.closest("[role=tablist]").querySelectorAll("[role=tab]")) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", chosen);
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
  }
}

function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...event.target.closest("[role=tablist]").querySelectorAll("[role=tab]")];
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  selectTab(next);
  next.focus();
}

function selectMode(button) {
  pressOnly(button, button.parentElement.querySelectorAll("[data-mode]"));
  for (const shown of button.closest(".payload").querySelectorAll("[data-shows]")) {
    shown.hidden = shown.dataset.shows !== button.dataset.mode;
  }
}

function pressOnly(button, all) {
  for (const other of all) other.setAttribute("aria-pressed", other === button);
}

startForms();
startMedia();
startLive(toast);
showTimes(document);
document.body.addEventListener("htmx:load", (event) => {
  showTimes(event.detail.elt);
  showProof(event.detail.elt);
  if (event.detail.elt.matches?.("#toasts > .alert")) setTimeout(() => event.detail.elt.remove(), TOLD_MS);
});
