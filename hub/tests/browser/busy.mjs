// How long the hub's page takes with many regions and orders: HUB_URL and HUB_TOKEN say which hub. Prints figures: from
// the input until the rows that were asked for are drawn, what kept the page from answering meanwhile, and how much of it
// there is. Ends with 1 only where the page shows something wrong.

import { chromium } from "playwright-core";

const { HUB_URL: hub, HUB_TOKEN: token, CHROMIUM: program = "/usr/bin/chromium" } = process.env;
const TIMES = 7;
/** Ordered by whoever has this number, among the made-up orders. */
const CALLER = "+91 98000-00001";
/** The browser's own word for what keeps a page from answering is 50 ms; nobody notices less than this. */
const LONG_MS = 200;

const api = async (path, body) => (await fetch(hub + path, {
  method: body ? "POST" : "GET", body: body && JSON.stringify(body),
  headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
})).json();
const ids = async (query) => (await api(`/v1/orders?limit=50${query}`)).orders.map(({ id }) => id).join();
const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const faults = [];

const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"] });
const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
context.setDefaultTimeout(120_000);

/** Runs in the page: what to wait for, and how long it took the browser to draw it. */
const inPage = () => {
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask", buffered: true });
  window.rows = () => [...document.querySelectorAll("tbody a.id")].map((one) => one.title).join();
  /** Does something and waits, without a timer, until `done`, and until that is on the screen. Gives milliseconds. */
  window.timed = async (act, done) => {
    const began = performance.now();
    act();
    await new Promise((resolve) => {
      const look = () => { if (done()) { watch.disconnect(); resolve(); } };
      const watch = new MutationObserver(look);
      watch.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
      look();
    });
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    return performance.now() - began;
  };
};

/** Runs `one` some times and prints what it took, with the longest that the page could not answer for meanwhile. */
async function measure(what, page, one) {
  const [times, busy] = [[], []];
  for (let nth = 0; nth < TIMES; nth += 1) {
    const now = typeof page === "function" ? await page() : page;
    times.push(await one(now, nth));
    busy.push(...await now.evaluate(() => window.longTasks.splice(0)));
    if (typeof page === "function") await now.close();
  }
  const longest = Math.round(Math.max(0, ...busy));
  const late = busy.filter((ms) => ms > LONG_MS).length;
  console.log(`${String(Math.round(middle(times))).padStart(6)} ms ${String(Math.round(Math.max(...times))).padStart(6)} ms   ${what}; longest task ${longest} ms${late ? `, ${late} above ${LONG_MS} ms` : ""}`);
}

async function open() {
  const page = await context.newPage();
  await page.addInitScript(inPage);
  page.on("pageerror", (error) => faults.push(error.message));
  return page;
}

const { regions } = await api("/v1/regions");
const { sum } = await api("/v1/overview");
console.log(`the page, ${regions.length} regions, ${sum.placed} orders, headless Chromium ${browser.version()}`);
console.log("   median   slowest   of " + TIMES);

// From nothing to every region's card with its figures, and the map: sign-in, script, API, drawing.
await measure("from the link to a card of every region", open, async (page) => {
  await page.goto(`${hub}/ui/#token=${token}`, { waitUntil: "commit" });
  await page.waitForFunction((many) => document.querySelectorAll(".region").length === many, regions.length, { polling: "raf" });
  return page.evaluate(() => performance.now());
});
const page = await open();
await page.goto(`${hub}/ui/#token=${token}`);
await page.locator(".maplibregl-canvas").waitFor();
await page.waitForFunction((many) => document.querySelectorAll(".region").length === many, regions.length);
console.log(`${String(await page.evaluate(() => document.querySelectorAll("*").length)).padStart(6)} elements on the first page`);
await page.evaluate(() => window.longTasks.splice(0));
const names = regions.map(({ region }) => region);
await measure("another region on the map", page, (now, nth) => now.evaluate((name) => timed(
  () => [...document.querySelectorAll(".region button.plain")].find((one) => one.textContent.startsWith(name)).click(),
  () => document.querySelector(".mapbox canvas").getAttribute("aria-label").startsWith(`Map of ${name},`)), names[(7 * nth + 3) % names.length]));
// Nobody does anything: the page reads again and draws by itself.
for (let nth = 0; nth < 3; nth += 1) {
  await page.evaluate(() => timed(() => { document.querySelector(".region").dataset.old = ""; }, () => !document.querySelector("[data-old]")));
}
console.log(`${String(Math.round(Math.max(0, ...await page.evaluate(() => window.longTasks.splice(0))))).padStart(6)} ms is the longest task while it is read again by itself`);

const newest = await api("/v1/orders?limit=50");
const order = newest.orders.find(({ driver_id: driver }) => driver) ?? newest.orders[0];
const wanted = { first: newest.orders.map(({ id }) => id).join() };
await measure("Orders opened: the newest 50", page, async (now) => {
  await now.evaluate(() => { location.hash = "#/"; });
  await now.locator(".region").first().waitFor();
  await now.evaluate(() => window.longTasks.splice(0));
  return now.evaluate((rows) => timed(() => { location.hash = "#/orders"; }, () => window.rows() === rows), wanted.first);
});

/** Types into the search and waits for exactly these rows. */
async function search(what, text, rows) {
  if (!rows) faults.push(`${what}: there is nothing to find`);
  await measure(what, page, async (now) => {
    await now.evaluate((all) => timed(() => find(""), () => window.rows() === all), wanted.first);
    await now.evaluate(() => window.longTasks.splice(0));
    return now.evaluate(([typed, found]) => timed(() => find(typed), () => window.rows() === found), [text, rows]);
  });
}
await page.evaluate(() => {
  window.find = (text) => {
    const box = document.querySelector("input[type=search]");
    box.value = text;
    box.form.requestSubmit();
  };
});
await search("search: a restaurant", order.restaurant_id, await ids(`&restaurant=${order.restaurant_id}`));
await search("search: a driver", order.driver_id, await ids(`&driver=${order.driver_id}`));
await search("search: a customer", order.customer_id, await ids(`&customer=${order.customer_id}`));
const { phone_hash: hash } = await api("/v1/phone-hashes", { phone: CALLER });
await search("search: a telephone number", CALLER, await ids(`&phone_hash=${hash}`));
await page.evaluate((all) => timed(() => find(""), () => window.rows() === all), wanted.first);

const cancelled = await ids("&status=CANCELLED");
await measure("filter: a state", page, async (now) => {
  const choose = (state, rows) => now.evaluate(([value, found]) => timed(() => {
    const box = [...document.querySelectorAll("select")].find((one) => [...one.options].some((option) => option.value === "CANCELLED"));
    box.value = value;
    box.dispatchEvent(new Event("change"));
  }, () => window.rows() === found), [state, rows]);
  await choose("", wanted.first);
  await now.evaluate(() => window.longTasks.splice(0));
  const took = await choose("CANCELLED", cancelled);
  await choose("", wanted.first);
  return took;
});

// Page by page, far into the past.
let pages = 1;
await measure("the next 50 orders", page, (now) => {
  pages += 1;
  return now.evaluate(() => {
    const before = window.rows();
    return timed(() => [...document.querySelectorAll("button")].find((one) => one.textContent === "Older").click(), () => window.rows() !== before && window.rows() !== "");
  });
});
for (; pages < 40; pages += 1) {
  await page.evaluate(() => {
    const before = window.rows();
    return timed(() => [...document.querySelectorAll("button")].find((one) => one.textContent === "Older").click(), () => window.rows() !== before && window.rows() !== "");
  });
}
const rows = await page.locator("tbody tr").count();
if (rows !== 50) faults.push(`${rows} rows after ${pages} pages`);
console.log(`${String(await page.evaluate(() => document.querySelectorAll("*").length)).padStart(6)} elements, ${rows} rows, after ${pages} pages`);

await measure("an order of page 40 opened, with its timeline", page, async (now) => {
  const took = await now.evaluate((id) => timed(() => { location.hash = `#/orders/${id}`; }, () => document.querySelectorAll(".timeline li").length > 2), order.id);
  await now.evaluate(() => { location.hash = "#/"; });
  await now.locator(".region").first().waitFor();
  await now.evaluate(() => window.longTasks.splice(0));
  return took;
});
await browser.close();
for (const fault of faults) console.error(`WRONG: ${fault}`);
process.exit(faults.length ? 1 : 0);
