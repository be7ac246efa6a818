// Keeps a page as it would be if it were loaded now. What it shows is written by the
// server: this module only asks for it again, and swaps it in without losing one's place.

const LEAST = 2000; // milliseconds between two looks, for a storm of events
const STILL = 30000; // and when nothing was heard: ages and what is due move on
const AGAIN = 5000; // until a stream that was refused is asked for again

const main = () => document.getElementById("main");
const sign = document.getElementById("live");
let due = 0;
let took = 0;
let asked = 0;
let asking = false;
let looks = 0;
let stream = null;

function show(on) {
  sign.textContent = on ? sign.dataset.on : sign.dataset.off;
  sign.classList.toggle("on", on);
}

function plan(wait) {
  const at = performance.now() + wait;
  if (!due || at < due) due = at;
}

// Somebody who types, marks what is to be copied, or reads a log half-way down, is not
// disturbed.
function busy() {
  const marked = document.getSelection();
  return ["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement?.tagName)
    || (!marked.isCollapsed && main().contains(marked.anchorNode));
}

const all = (what) => [...main().querySelectorAll(what)];
const link = (of) => of?.querySelector("a")?.getAttribute("href");
const MARKS = ["id", "href", "data-do", "data-of"];

// How to find what has the focus in another copy of the page.
function named(focused) {
  const marks = MARKS.filter((mark) => focused.hasAttribute(mark));
  const written = (mark) => `[${mark}="${CSS.escape(focused.getAttribute(mark))}"]`;
  return marks.length ? focused.tagName + marks.map(written).join("") : null;
}

function place() {
  const focused = main().contains(document.activeElement) ? document.activeElement : null;
  const rows = all("table.rows tbody tr");
  const row = rows.findIndex((each) => each.classList.contains("here"));
  return {
    name: focused && named(focused),
    log: all("pre").indexOf(focused),
    row,
    link: link(rows[row]),
    logs: all("pre").map((log) => log.scrollTop),
  };
}

function restore(was) {
  all("pre").forEach((log, n) => { log.scrollTop = was.logs[n] || 0; });
  const rows = all("table.rows tbody tr");
  const row = was.link ? rows.find((each) => link(each) === was.link) : rows[was.row];
  row?.classList.add("here");
  const again = was.name ? main().querySelector(was.name) : all("pre")[was.log];
  again?.focus({ preventScroll: true });
}

async function look() {
  const mine = ++looks;
  asking = true;
  due = 0;
  asked = performance.now();
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("main");
    if (fresh && page.documentElement.lang !== document.documentElement.lang) {
      return location.reload(); // chosen in another tab
    }
    if (fresh && mine === looks && !busy()) {
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
  const may = !asking && !document.hidden && !busy();
  if (may && due && now >= due && now - asked >= least) look();
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
  const { do: what, of } = button.dataset;
  const [method, path, body] = CHANGES[what](of);
  button.disabled = true;
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  }).catch((broken) => ({ ok: false, status: broken.message }));
  if (!answer.ok) {
    const said = await answer.json?.().catch(() => null);
    button.disabled = false;
    return complain(button, said?.detail || answer.status);
  }
  await look();
  all("button[data-of]").find((each) => each.dataset.of === of)?.focus({ preventScroll: true });
}

function complain(button, why) {
  const known = button.nextElementSibling;
  const said = known?.matches("[role=alert]") ? known : document.createElement("span");
  said.setAttribute("role", "alert");
  said.textContent = ` ${why}`;
  button.after(said);
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

// A browser opens six connections to a server, for all of its tabs: only what is seen
// keeps one.
function follow() {
  stream?.close();
  stream = null;
  if (document.hidden) return show(false);
  const mine = stream = new EventSource("/api/v1/stream");
  stream.onopen = () => { show(true); plan(0); };
  stream.onmessage = () => plan(200);
  stream.onerror = () => {
    show(false);
    // Refused, perhaps by a proxy before us: then browsers do not come again.
    const closed = mine.readyState === EventSource.CLOSED;
    if (closed) setTimeout(() => { if (mine === stream) follow(); }, AGAIN);
  };
}

// The language is kept: an address that says it again would say it for other tabs too.
const here = new URL(location.href);
if (here.searchParams.has("lang") && document.cookie.includes("job_monitor_locale=")) {
  here.searchParams.delete("lang");
  history.replaceState(null, "", here);
}

if (document.querySelector("header nav")) {
  follow();
  document.addEventListener("visibilitychange", () => { plan(0); follow(); });
  asked = performance.now();
  plan(STILL);
  setInterval(turn, 250);
} else {
  sign.hidden = true;
}
