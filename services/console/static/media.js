// Before and after. What was sent stays in this browser alone (IndexedDB, the last few jobs), so
// that a result can be compared with it after a reload, too.
const KEEP_JOBS = 24;
const KEEP_BYTES = 64 * 1024 * 1024;

let opened;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("etapa", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("inputs", { keyPath: "job" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export async function keepInputs(job, files) {
  const file = Object.values(files)[0];
  if (!file || file.size > KEEP_BYTES) return;
  try {
    const store = (await database()).transaction("inputs", "readwrite").objectStore("inputs");
    store.put({ job, file, at: Date.now() });
    const all = await done(store.getAllKeys());
    // Job ids sort by time.
    for (const old of all.sort().slice(0, -KEEP_JOBS)) store.delete(old);
  } catch {
    // Private windows may have no store: then there is an after without a before.
  }
}

async function inputOf(job) {
  try {
    const store = (await database()).transaction("inputs").objectStore("inputs");
    return (await done(store.get(job)))?.file;
  } catch {
    return undefined;
  }
}

export function startMedia() {
  if (document.getElementById("run")) database().catch(() => {}); // opened before it is needed
  showBefore(document);
  document.body.addEventListener("htmx:load", (event) => showBefore(event.detail.elt));
}

async function showBefore(root) {
  for (const output of root.querySelectorAll("[data-output]")) {
    if (output.dataset.ready) continue;
    output.dataset.ready = "1";
    const file = await inputOf(output.dataset.output);
    if (!file) continue;
    const compare = output.querySelector(".compare");
    const players = output.querySelector(".players");
    if (compare && file.type.startsWith("image/")) compareImages(compare, file);
    if (players && file.type.startsWith("video/")) addPlayer(players, file);
  }
}

function compareImages(compare, file) {
  const before = document.createElement("img");
  before.src = URL.createObjectURL(file);
  before.alt = compare.dataset.before;
  before.addEventListener("load", () => {
    URL.revokeObjectURL(before.src);
    const slider = document.createElement("input");
    slider.type = "range";
    slider.setAttribute("aria-label", compare.dataset.compareLabel);
    slider.addEventListener("input", () => compare.style.setProperty("--cut", `${slider.value}%`));
    compare.append(before, label(compare, "before"), label(compare, "after"), slider);
    compare.classList.add("has-before");
  });
}

function label(place, side) {
  const shown = document.createElement("span");
  shown.className = `side ${side}`;
  shown.textContent = place.dataset[side];
  return shown;
}

function addPlayer(players, file) {
  const before = document.createElement("video");
  before.src = URL.createObjectURL(file);
  before.controls = before.playsInline = true;
  before.setAttribute("aria-label", players.dataset.before);
  players.prepend(before);
}
