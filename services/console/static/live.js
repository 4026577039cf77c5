// Keeps what is shown up to date: an event names changed jobs, and their parts are fetched again.
// While no event can come, and for what no event tells (position, progress), a slow poll does.
const POLL_MS = 3000;
const LIST_MS = 1000;
// So that pages that come back together do not all read at once.
const SPREAD_MS = 1000;

let showToast;
let streamAway = false;
let pollFailed = false;
let listTimer = 0;
const asked = new Set();

export function startLive(toast) {
  showToast = toast;
  const source = document.querySelector("[data-events]");
  if (source) listen(source.dataset.events);
  setInterval(poll, POLL_MS);
  document.body.addEventListener("htmx:beforeSwap", beforeSwap);
  document.body.addEventListener("htmx:afterSettle", settle);
  document.body.addEventListener("htmx:afterRequest", noteAnswer);
  document.body.addEventListener("job-acted", () => refetch(document.querySelectorAll("[data-job]")));
}

function listen(url, place = "") {
  const events = new EventSource(place ? after(url, place) : url);
  const say = (away) => {
    streamAway = away;
    showState();
  };
  events.addEventListener("hello", () => say(false));
  events.addEventListener("state", (event) => say(JSON.parse(event.data).state === "away"));
  events.addEventListener("changed", (event) => {
    place = event.lastEventId;
    changed(JSON.parse(event.data).jobs);
  });
  // More has changed than the stream can name.
  events.addEventListener("refresh", (event) => {
    place = event.lastEventId;
    setTimeout(refetchAll, Math.random() * SPREAD_MS);
  });
  events.addEventListener("error", () => {
    say(true);
    // The browser comes back by itself after a lost connection, but not after a refusal.
    if (events.readyState === EventSource.CLOSED) setTimeout(() => listen(url, place), POLL_MS);
  });
  addEventListener("pagehide", () => events.close());
}

function after(url, place) {
  const found = new URL(url, location.href);
  found.searchParams.set("after", place);
  return found;
}

function showState() {
  const state = document.getElementById("live-state");
  state.textContent = streamAway || pollFailed ? state.dataset.away : "";
}

// A part that could not be fetched stays as it was; that it may be old is said once, below.
function noteAnswer(event) {
  if (!event.detail.elt.matches("[data-job], [data-refresh], [data-list]")) return;
  pollFailed = !event.detail.successful;
  showState();
}

function changed(jobs) {
  const stale = [...document.querySelectorAll("[data-job]")].filter((part) => {
    const seq = jobs[part.dataset.job];
    return seq !== undefined && seq > Number(part.dataset.seq);
  });
  // The history may be a step behind the queue; a part that is open is fetched in any case.
  const open = [...document.querySelectorAll("[data-job][data-open]")].filter((part) => part.dataset.job in jobs);
  refetch(new Set([...stale, ...open]));
  if (document.querySelector("[data-list]")) refetchList();
}

function refetchAll() {
  refetch(document.querySelectorAll("[data-job]"));
  if (document.querySelector("[data-list]")) refetchList();
}

function refetch(parts) {
  for (const part of parts) {
    if (busy(part)) continue;
    htmx.trigger(part, "job-changed");
  }
}

// What a person reads or types in must not be taken away under their hands.
function busy(part) {
  return part.matches(".details") && part.contains(document.getSelection().anchorNode) && !document.getSelection().isCollapsed;
}

function refetchList() {
  clearTimeout(listTimer);
  listTimer = setTimeout(() => {
    const list = document.querySelector("[data-list]");
    if (list) htmx.trigger(list, "list-changed");
  }, LIST_MS);
}

function poll() {
  if (document.hidden) return;
  refetch(document.querySelectorAll("[data-job][data-open]"));
  for (const part of document.querySelectorAll("[data-refresh]")) htmx.trigger(part, "refresh");
}

let kept = null;

function beforeSwap(event) {
  const old = event.detail.target;
  if (old?.matches?.(".card:not([data-final])")) asked.add(old.dataset.job);
  if (old?.matches?.("section.details")) kept = stateOf(old);
}

function settle(event) {
  for (const card of document.querySelectorAll(".card[data-final]")) {
    if (!asked.delete(card.dataset.job)) continue;
    htmx.trigger(document.body, "money-moved");
    if (card.dataset.toast) showToast(card);
  }
  const details = event.detail.elt;
  if (kept && details?.matches?.("section.details")) {
    restore(details, kept);
    kept = null;
  }
  if (event.detail.elt?.matches?.(".card:not([data-final])")) htmx.trigger(document.body, "money-moved");
}

// Which tab, payload and step details were open survives a fetch of the whole.
function stateOf(details) {
  return {
    tab: details.querySelector("[role=tab][aria-selected=true]")?.id,
    payload: details.querySelector(".payload-body")?.firstElementChild,
    pressed: details.querySelector(".payload-row[aria-pressed=true]")?.getAttribute("hx-get"),
    open: [...details.querySelectorAll(".step details")].map((part) => part.open),
  };
}

function restore(details, state) {
  [...details.querySelectorAll(".step details")].forEach((part, index) => {
    part.open = state.open[index] ?? false;
  });
  if (state.tab) document.getElementById(state.tab)?.click();
  if (!state.pressed || !state.payload) return;
  for (const row of details.querySelectorAll(".payload-row")) {
    row.setAttribute("aria-pressed", row.getAttribute("hx-get") === state.pressed);
  }
  details.querySelector(".payload-body").replaceChildren(state.payload);
}
