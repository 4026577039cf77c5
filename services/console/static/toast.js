// The toast of a failure that happened while the page was open: ten seconds, a tap opens details.
const LIFE_MS = 10000;

export function toast(card) {
  const shown = document.createElement("button");
  shown.type = "button";
  shown.className = "toast";
  const text = document.createElement("b");
  text.textContent = card.dataset.toast;
  const hint = document.createElement("small");
  hint.textContent = document.body.dataset.toastTap;
  shown.append(text, hint);
  shown.addEventListener("click", () => {
    shown.remove();
    document.getElementById(card.id)?.querySelector("[data-modal]")?.click();
  });
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), LIFE_MS);
}
