// Drives the hub's page in a real browser against a running hub: HUB_URL and HUB_TOKEN say which, SCREENS where the
// pictures go. Prints what it checked; ends with 1 if anything was wrong.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { HUB_URL: hub, HUB_TOKEN: token, SCREENS: screens, CHROMIUM: program = "/usr/bin/chromium" } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];
const wrong = (text) => { faults.push(text); console.error(`WRONG: ${text}`); };
mkdirSync(screens, { recursive: true });

const api = async (path) => (await fetch(hub + path, { headers: { authorization: `Bearer ${token}` } })).json();
const number = (value) => new Intl.NumberFormat("en").format(value);

/** Waits until `look` gives true; numbers move while people order. */
async function eventually(what, look) {
  const end = Date.now() + 20000;
  let last;
  while (Date.now() < end) {
    last = await look().catch((error) => error.message);
    if (last === true) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  wrong(`${what}: ${JSON.stringify(last)}`);
}

const tile = (page, name) => page.locator(".tile", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd").first().innerText();

const CHECKS = {
  now: async (page) => {
    for (const [name, field] of [["Placed", "placed"], ["Delivered", "delivered"]]) {
      await eventually(`tile ${name} says what the API says`, async () => {
        const { sum } = await api("/v1/overview");
        const shown = await tile(page, name);
        return shown === number(sum[field]) || `${shown} is not ${sum[field]}`;
      });
    }
    const { regions } = await api("/v1/regions");
    await eventually("a card per region", async () => (await page.locator(".region").count()) === regions.length);
    await eventually("cells are drawn", async () => page.locator(".mapbox canvas").evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.some((part, at) => at % 4 === 3 && part > 0);
    }));
  },
  orders: async (page) => {
    await page.locator("tbody tr").first().waitFor();
    const { orders } = await api("/v1/orders?limit=50");
    const rows = await page.locator("tbody tr").count();
    if (rows !== orders.length && Math.abs(rows - orders.length) > 5) wrong(`${rows} rows for ${orders.length} orders`);
  },
  money: async (page) => {
    await eventually("unmatched as the API counts", async () => {
      const { unmatched } = await api("/v1/money/unmatched");
      return (await tile(page, "Unmatched")) === number(unmatched.length);
    });
  },
  analytics: async (page) => {
    await page.locator(".chart svg .line, .chart svg .dot").first().waitFor();
    const shown = Number((await tile(page, "Placed")).replace(/,/g, ""));
    const { sum } = await api("/v1/overview");
    if (shown > sum.placed || shown < sum.placed - 60) wrong(`analytics say ${shown} placed, the overview ${sum.placed}`);
  },
  alerts: async (page) => {
    await page.locator("section.card").first().waitFor();
  },
  order: async (page) => {
    const { orders } = await api("/v1/orders?status=DELIVERED&limit=1");
    const order = await api(`/v1/orders/${orders[0].id}`);
    await eventually("the whole timeline", async () => (await page.locator(".timeline li").count()) === order.timeline.length);
  },
};

async function look(browser, theme, width) {
  const context = await browser.newContext({ viewport: { width, height: width < 600 ? 844 : 900 }, colorScheme: theme, deviceScaleFactor: 1 });
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error") wrong(`console: ${message.text()}`); });
  page.on("pageerror", (error) => wrong(`page: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(hub) && !url.startsWith(hub.replace(/^http/, "ws")) && !url.startsWith("blob:") && !url.startsWith("data:")) wrong(`foreign request: ${url}`);
  });
  await page.goto(`${hub}/ui/#token=${token}`);
  const { orders } = await api("/v1/orders?status=DELIVERED&limit=1");
  const pages = [["now", "#/"], ["orders", "#/orders"], ["order", `#/orders/${orders[0]?.id}`], ["money", "#/money"], ["analytics", "#/analytics"], ["alerts", "#/alerts"]];
  for (const [name, hash] of pages) {
    await page.evaluate((to) => { location.hash = to; }, hash);
    await page.locator("main h1").waitFor();
    await CHECKS[name](page);
    await page.waitForTimeout(300);
    await page.screenshot({ path: `${screens}/hub-${name}-${theme}-${width}.png`, fullPage: true });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (overflow > 0) wrong(`${name} at ${width} is ${overflow} px too wide`);
    const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ["violations"] })`);
    for (const violation of found.violations.filter((one) => ["serious", "critical"].includes(one.impact))) {
      wrong(`axe ${name} ${theme} ${width}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")}`);
    }
    console.log(`${name} ${theme} ${width}: ${found.violations.length} notes of axe`);
  }
  await context.close();
}

/** Without a mouse: the skip link, the pages, the map. */
async function keyboard(browser) {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  await page.goto(`${hub}/ui/#token=${token}`);
  await page.locator(".tile").first().waitFor();
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement.textContent);
  if (first !== "Skip to content") wrong(`the first stop of the Tab key is ${first}`);
  await page.locator("nav a", { hasText: "Orders" }).focus();
  await page.keyboard.press("Enter");
  await eventually("Enter opens a page", async () => (await page.locator("main h1").innerText()) === "Orders");
  const address = await page.evaluate(() => location.href);
  if (address.includes("token=")) wrong("the token stays in the address");
}

/** What stands there without a token, and with a wrong one. */
async function strangers(browser) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${hub}/ui/`);
  await page.locator("textarea").fill("no.such.token");
  await page.locator("button.main").click();
  await eventually("a wrong token is refused", async () => (await page.locator("[role=alert]").innerText()).includes("not valid"));
}

const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
for (const theme of ["light", "dark"]) for (const width of [1440, 390]) await look(browser, theme, width);
await keyboard(browser);
await strangers(browser);
await browser.close();
console.log(faults.length ? `${faults.length} faults` : "no faults");
process.exit(faults.length ? 1 : 0);
