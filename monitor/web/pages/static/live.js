// Keeps a page as it would be if it were loaded now. What it shows is written by the
// server: this module only asks for it again, and swaps it in without losing one's place.

const LEAST = 2000; // milliseconds between two looks, for a storm of events
const STILL = 30000; // and when nothing was heard: ages and what is due move on

const main = () => document.getElementById("main");
const sign = document.getElementById("live");
let due = 0;
let took = 0;
let asked = 0;
let asking = false;

function show(on) {
  sign.textContent = on ? sign.dataset.on : sign.dataset.off;
  sign.classList.toggle("on", on);
}

function plan(wait) {
  const at = performance.now() + wait;
  if (!due || at < due) due = at;
}

// Somebody who types, or reads a log half-way down, is not disturbed.
function busy() {
  const focused = document.activeElement;
  return focused && ["INPUT", "SELECT", "TEXTAREA"].includes(focused.tagName);
}

function place() {
  const rows = [...document.querySelectorAll("table.rows tbody tr")];
  const focused = document.activeElement;
  return {
    id: focused?.id,
    link: focused?.getAttribute?.("href"),
    row: rows.findIndex((row) => row.classList.contains("here")),
    logs: [...main().querySelectorAll("pre")].map((log) => log.scrollTop),
  };
}

function restore(was) {
  main().querySelectorAll("pre").forEach((log, n) => { log.scrollTop = was.logs[n] || 0; });
  const rows = document.querySelectorAll("table.rows tbody tr");
  if (was.row >= 0 && rows[was.row]) rows[was.row].classList.add("here");
  const again = (was.id && document.getElementById(was.id))
    || (was.link && main().querySelector(`a[href="${CSS.escape(was.link)}"]`));
  if (again) again.focus({ preventScroll: true });
}

async function look() {
  asking = true;
  due = 0;
  asked = performance.now();
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("main");
    if (fresh && !busy()) {
      const was = place();
      main().innerHTML = fresh.innerHTML;
      document.title = page.title;
      restore(was);
    }
    took = performance.now() - asked;
  } catch {
    show(false);
  } finally {
    asking = false;
    plan(STILL);
  }
}

function turn() {
  const now = performance.now();
  const least = Math.max(LEAST, 5 * took);
  if (due && now >= due && now - asked >= least && !asking && !document.hidden) look();
}

// A click that changes something: the API says whether it did.
const DAY = 24 * 3600 * 1000;
const CHANGES = {
  ack: (of) => ["POST", "/api/v1/acks", { of, author: "dashboard" }],
  unack: (of) => ["DELETE", `/api/v1/acks?of=${encodeURIComponent(of)}`],
  silence: (of) => ["POST", "/api/v1/silences", {
    matchers: [`instance="${of}"`],
    ends_at: new Date(Date.now() + DAY / 12).toISOString(),
    author: "dashboard",
  }],
  unsilence: (of) => ["DELETE", `/api/v1/silences/${encodeURIComponent(of)}`],
};

async function change(button) {
  const [method, path, body] = CHANGES[button.dataset.do](button.dataset.of);
  button.disabled = true;
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    button.insertAdjacentText("afterend", ` ${said.detail || answer.status}`);
    return;
  }
  await look();
}

function step(by) {
  const rows = [...document.querySelectorAll("table.rows tbody tr")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("here"));
  rows[at]?.classList.remove("here");
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  next.classList.add("here");
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a")?.focus({ preventScroll: true });
}

const KEYS = {
  "/": () => document.getElementById("search")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  "?": () => document.getElementById("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches?.("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const known = KEYS[event.key];
  if (known) {
    event.preventDefault();
    known();
  }
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (button) change(button);
});
document.getElementById("keys").addEventListener("click", KEYS["?"]);
document.addEventListener("visibilitychange", () => plan(0));

if (document.querySelector("header nav")) {
  const stream = new EventSource("/api/v1/stream");
  stream.onopen = () => { show(true); plan(0); };
  stream.onerror = () => show(false);
  stream.onmessage = () => plan(200);
  asked = performance.now();
  plan(STILL);
  setInterval(turn, 250);
} else {
  sign.hidden = true;
}
