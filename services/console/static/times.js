// Times come in UTC; a browser shows them in its own zone and says which.
const language = document.documentElement.lang;
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "medium", hour12: false });
const zone = new Intl.DateTimeFormat(language, { timeZoneName: "short" })
  .formatToParts(new Date())
  .find((part) => part.type === "timeZoneName").value;

export function showTimes(root) {
  for (const time of root.querySelectorAll("time[data-clock], time[data-when]")) {
    if (!time.dateTime || time.dataset.shown) continue;
    time.title = time.title || time.dateTime;
    time.textContent = "clock" in time.dataset ? clock.format(new Date(time.dateTime)) : `${moment.format(new Date(time.dateTime))} ${zone}`;
    time.dataset.shown = "1";
  }
  for (const place of root.querySelectorAll("[data-zone]")) place.textContent = zone;
}
