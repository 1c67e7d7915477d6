// The shell: sign-in, pages by the address, and reading again when something changed.

import { fill, h } from "./dom.js";
import * as api from "./api.js";
import * as overview from "./overview.js";
import * as orders from "./orders.js";
import * as money from "./money.js";
import * as analytics from "./analytics.js";
import * as alerts from "./alerts.js";

const PAGES = [
  ["", "Now", overview],
  ["orders", "Orders", orders],
  ["money", "Money", money],
  ["analytics", "Analytics", analytics],
  ["alerts", "Alerts", alerts],
];
/** Pages are read again at most so often, and at least so often. */
const QUIET_MS = 1500;
const CHECK_MS = 10000;

const main = document.getElementById("main");
const light = document.getElementById("live");
let shown = null;
let stopLive = null;
let me = null;

function route() {
  const [path, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const page = PAGES.find(([name]) => name === path) ?? PAGES[0];
  return { page, rest: rest.map(decodeURIComponent) };
}

function drawNav(open) {
  const { page } = route();
  fill(document.getElementById("nav"), PAGES.map(([name, title]) =>
    h("a", { href: `#/${name}`, "aria-current": page[0] === name ? "page" : null }, title,
      name === "alerts" && open ? h("span", { class: "count", "aria-label": `${open} open` }, String(open)) : null)));
}

async function show() {
  const { page, rest } = route();
  shown?.end?.();
  shown = null;
  const root = h("div", { class: "stack" });
  fill(main, root);
  document.title = `${page[1]} – Tomato hub`;
  drawNav(openAlerts);
  const view = page[2].view(root, { me, rest });
  shown = view;
  await refresh(view);
}

let openAlerts = 0;
let last = 0;
let timer = null;
/** The page that is being read, and whether something changed meanwhile. */
let reading = null;
let again = false;

/** Reads the page again, not more often than QUIET_MS, and not before it has been read. */
function later() {
  if (timer || !shown) return;
  if (reading === shown) { again = true; return; }
  timer = setTimeout(() => { timer = null; if (shown) refresh(shown); }, Math.max(0, last + QUIET_MS - Date.now()));
}

async function refresh(view) {
  if (reading === view) { again = true; return; }
  last = Date.now();
  reading = view;
  again = false;
  try {
    await view.load();
    document.getElementById("problem")?.remove();
  } catch (problem) {
    if (view !== shown) return;
    if (problem.status === 401) return leave("That token is not valid, or has expired.");
    if (!(problem instanceof api.Problem)) throw problem;
    document.getElementById("problem")?.remove();
    main.prepend(h("p", { id: "problem", class: "problem", role: "alert" }, problem.message));
  } finally {
    if (reading === view) {
      reading = null;
      if (again) later();
    }
  }
}

async function countAlerts() {
  const list = await api.get("/v1/alerts").catch(() => null);
  if (!list) return;
  openAlerts = list.alerts.filter((alert) => !alert.closed_at && !alert.acked_at).length;
  drawNav(openAlerts);
}

function leave(text) {
  api.dropToken();
  stopLive?.();
  stopLive = null;
  shown = null;
  signIn(text);
}

function signIn(text) {
  light.textContent = "signed out";
  light.dataset.state = "";
  document.getElementById("leave").hidden = true;
  fill(document.getElementById("nav"));
  const box = h("textarea", { name: "token", required: true, autocomplete: "off", spellcheck: "false" });
  const form = h("form", { class: "card signin", onsubmit: (event) => { event.preventDefault(); api.setToken(box.value); start(); } },
    h("h1", {}, "Sign in"),
    h("p", { class: "soft" }, "Paste an operator's token. It stays in this tab."),
    text ? h("p", { class: "problem", role: "alert" }, text) : null,
    h("label", {}, "Token", box),
    h("button", { class: "main" }, "Sign in"));
  fill(main, form);
  box.focus();
}

async function start() {
  try {
    me = await api.get("/v1/me");
  } catch (problem) {
    return leave(problem.status === 401 ? "That token is not valid, or has expired." : problem.message);
  }
  document.getElementById("leave").hidden = false;
  stopLive?.();
  stopLive = api.live(
    (told) => { if (told.alerts || told.resync) countAlerts(); later(); },
    (state) => { light.textContent = state === "on" ? "live" : "not connected"; light.dataset.state = state; });
  await show();
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("tomato-theme", root.dataset.theme);
  shown?.redraw?.();
}

const kept = localStorage.getItem("tomato-theme");
if (kept) document.documentElement.dataset.theme = kept;
document.getElementById("theme").addEventListener("click", theme);
document.getElementById("leave").addEventListener("click", () => leave());
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=")) { api.takeToken(); start(); return; }
  if (location.hash === "#main") return;
  if (api.token()) { show(); main.focus(); }
});
setInterval(() => { if (Date.now() - last > CHECK_MS) later(); }, 1000);
if (api.takeToken()) start(); else signIn();
