// The tool's form: files by drop or choice with a preview, sliders, and what one choice means for
// another parameter. The server judges everything again.
import { keepInputs } from "./media.js";

export function startForms() {
  const form = document.getElementById("run");
  if (!form) return;
  for (const media of form.querySelectorAll("fieldset.media")) startMediaInput(media);
  for (const range of form.querySelectorAll("input[type=range]")) startSlider(range);
  const rules = JSON.parse(form.dataset.rules);
  const apply = () => applyRules(form, rules);
  form.addEventListener("change", apply);
  apply();
  startUpload(form);
}

function startMediaInput(media) {
  const input = media.querySelector("input[type=file]");
  const drop = media.querySelector(".drop");
  input.addEventListener("change", () => preview(media, input.files[0]));
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, () => drop.classList.add("over"));
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  preview(media, input.files[0]); // a browser may bring a form back
}

function preview(media, file) {
  const place = media.querySelector(".preview");
  const chosen = media.querySelector(".chosen");
  for (const old of place.children) URL.revokeObjectURL(old.src);
  place.replaceChildren();
  place.hidden = chosen.hidden = !file;
  media.querySelector(".prompt").hidden = Boolean(file);
  if (!file) return;
  const shown = document.createElement(media.dataset.kind === "video" ? "video" : "img");
  shown.src = URL.createObjectURL(file);
  if (shown instanceof HTMLVideoElement) shown.muted = true;
  else shown.alt = "";
  shown.addEventListener("error", () => shown.remove()); // HEIC, say: the server can read it
  place.append(shown);
  const name = media.querySelector(".file-name");
  const unit = file.size < 1024 * 1024 ? "KB" : "MB";
  const count = file.size / (unit === "KB" ? 1024 : 1024 * 1024);
  const size = `${count.toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} ${unit}`;
  name.textContent = `${file.name} · ${size}`;
  shown.addEventListener("load", () => {
    name.textContent = `${file.name} · ${shown.naturalWidth}×${shown.naturalHeight} · ${size}`;
  });
}

function startSlider(range) {
  const number = document.getElementById(range.dataset.mirrors);
  range.addEventListener("input", () => {
    number.value = range.value;
  });
  number.addEventListener("input", () => {
    if (number.value) range.value = number.value;
  });
}

function applyRules(form, rules) {
  for (const name of new Set(rules.map((rule) => rule.field))) {
    const chosen = (rule) => form.elements[`input.${rule.when}`]?.value === rule.equals;
    const rule = rules.find((one) => one.field === name && chosen(one));
    const field = form.querySelector(`.field[data-field="${CSS.escape(name)}"]`);
    if (!field) continue;
    field.hidden = Boolean(rule?.unused);
    for (const input of field.querySelectorAll("input")) {
      input.disabled = field.hidden;
      if (input.type === "number" || input.type === "range") narrow(input, rule);
    }
  }
}

function narrow(input, rule) {
  input.dataset.low ??= input.min;
  input.dataset.high ??= input.max;
  input.min = rule?.low ?? input.dataset.low;
  input.max = rule?.high ?? input.dataset.high;
  if (input.type === "range") {
    if (rule?.default != null && !document.getElementById(input.dataset.mirrors).value) input.value = rule.default;
    return;
  }
  input.placeholder = rule?.default ?? input.dataset.placeholder;
  if (input.value && (Number(input.value) < Number(input.min) || Number(input.value) > Number(input.max))) input.value = "";
}

function startUpload(form) {
  const bar = document.getElementById("upload-progress");
  const button = form.querySelector(".primary");
  const label = button.firstElementChild;
  const says = label.textContent;
  let files = {};
  let created = "";
  form.addEventListener("htmx:beforeRequest", () => {
    document.getElementById("run-error").replaceChildren();
    files = {};
    for (const input of form.querySelectorAll("input[type=file]")) {
      if (input.files[0]) files[input.closest("fieldset").dataset.media] = input.files[0];
    }
    label.textContent = button.dataset.busy;
    bar.hidden = false;
    bar.value = 0;
  });
  form.addEventListener("htmx:xhr:progress", (event) => {
    if (event.detail.lengthComputable) bar.value = (100 * event.detail.loaded) / event.detail.total;
  });
  // Before the card is shown, so that a reload right after it finds the photo kept.
  form.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr } = event.detail;
    if (xhr.status !== 201) return;
    const card = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("[data-job]");
    if (!card) return;
    keepInputs(card.dataset.job, files);
    created = card.id;
  });
  form.addEventListener("htmx:afterRequest", () => {
    label.textContent = says;
    bar.hidden = true;
    document.getElementById(created)?.scrollIntoView({ block: "nearest" });
    created = "";
  });
}
