// Opens what hostile senders sent, in a real browser, against a running needle: nothing of it runs, loads, navigates or asks.
//
//   NEEDLE_URL=http://127.0.0.1:7117 NEEDLE_JOURNEY=id npm run hostile
//
// tests/e2e/hostile_text.rs fills the server: records with `probe:log-N` and `probe:span-N`, and one journey of all texts.
// NEEDLE_JOURNEYS names further ids, with commas between. CHROMIUM names the browser (default /usr/bin/chromium).
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const base = (process.env.NEEDLE_URL ?? "").replace(/\/$/, "");
const journeys = (process.env.NEEDLE_JOURNEYS ?? "").split(",").filter(Boolean);
const whole = process.env.NEEDLE_JOURNEY;
assert.ok(base && whole, "NEEDLE_URL and NEEDLE_JOURNEY say where and what");

/** Records on one page. */
const RECORDS = 120;
/** Rows of the journey whose details are opened. */
const DETAILS = 80;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
// High enough that every row of a page is drawn.
const context = await browser.newContext({ viewport: { width: 1440, height: 8_000 } });
await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: base });
await context.addInitScript(() => {
  globalThis.refused = [];
  document.addEventListener("securitypolicyviolation", (event) => globalThis.refused.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
});

const page = await context.newPage();
const complaints = [];
page.on("dialog", (dialog) => (complaints.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
page.on("popup", (popup) => complaints.push(`popup: ${popup.url()}`));
page.on("download", (download) => complaints.push(`download: ${download.url()}`));
page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
page.on("console", (message) => message.type() === "error" && complaints.push(`console: ${message.text()}`));
page.on("request", (request) => {
  if (!request.url().startsWith(`${base}/`)) complaints.push(`request elsewhere: ${request.url()}`);
});
page.on("framenavigated", (frame) => {
  if (!frame.url().startsWith(`${base}/`) && frame.url() !== "about:blank") complaints.push(`navigated: ${frame.url()}`);
});

/** Asked of every page after everything on it was opened. */
async function assertInert(name) {
  const found = await page.evaluate(() => {
    const active = "iframe,frame,object,embed,applet,base,form[action],video,audio,marquee,math,style[data-x],[srcdoc],foreignObject,animate,use[href^=data]";
    const handlers = [...document.querySelectorAll("body *")].filter((element) => [...element.attributes].some((attribute) => attribute.name.startsWith("on")));
    const links = [...document.querySelectorAll("[href],[src],[action],[formaction]")];
    const elsewhere = links.map((element) => element.href?.baseVal ?? element.href ?? element.src).filter((url) => typeof url === "string" && url && new URL(url, location.href).origin !== location.origin);
    // What is read from right to left, or not at all, is shown by its number.
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const hidden = [];
    while (walker.nextNode()) {
      // What is typed stays what it is.
      if (walker.currentNode.parentElement?.tagName === "TEXTAREA") continue;
      const text = walker.currentNode.nodeValue ?? "";
      // eslint-disable-next-line no-control-regex
      if (/[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/u.test(text)) hidden.push(JSON.stringify(text.slice(0, 120)));
    }
    return {
      ran: globalThis.hostile,
      refused: globalThis.refused,
      active: [...document.querySelectorAll(active)].map((element) => element.outerHTML.slice(0, 200)),
      handlers: handlers.map((element) => element.outerHTML.slice(0, 200)),
      images: [...document.querySelectorAll("main img")].length,
      scripts: [...document.querySelectorAll("script")].filter((script) => !script.src).length,
      elsewhere,
      hidden,
    };
  });
  assert.deepEqual(found, { ran: undefined, refused: [], active: [], handlers: [], images: 0, scripts: 0, elsewhere: [], hidden: [] }, name);
  assert.deepEqual(complaints, [], `${name}: the browser complained`);
}

const rows = page.getByRole("list", { name: "Records" }).getByRole("listitem");
const treeRows = page.getByRole("treegrid", { name: "Journey" }).getByRole("row");

async function openSearch(query) {
  await page.goto(`${base}/?q=${encodeURIComponent(query)}`);
  await rows.first().waitFor();
}

try {
  for (const kind of ["log", "span", "json"]) {
    let opened = 0;
    for (let from = 0; ; from += RECORDS) {
      const probes = Array.from({ length: RECORDS }, (_, n) => `${kind}-${from + n}`);
      const query = `probe:(${probes.join(" OR ")})`;
      const answer = await (await fetch(`${base}/api/v1/search?limit=${RECORDS}&q=${encodeURIComponent(query)}`)).json();
      if (answer.records.length === 0) break;
      await openSearch(query);
      // Opening a row pushes others down, so those that are drawn by then are opened again and again.
      for (let times = 0; times < 2; times += 1) {
        await page.evaluate(() => document.querySelectorAll("[data-toggle][aria-expanded=false]").forEach((button) => button.click()));
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      }
      opened += await page.locator("[data-toggle][aria-expanded=true]").count();
      await assertInert(query);
    }
    console.log(`ok  ${kind}: ${opened} records opened`);
  }

  await openSearch('body:"script" probe:log*');
  const text = await page.getByRole("list", { name: "Records" }).innerText();
  assert.match(text, /<script/i, "it is there, as text");
  await openSearch("gpj probe:log*");
  assert.match(await page.getByRole("list", { name: "Records" }).innerText(), /‹U\+202E›/);
  await rows.first().locator("[data-toggle]").click();
  const filters = rows.first().getByRole("button", { name: /^Filter for/ });
  for (let n = 0; n < Math.min(await filters.count(), 6); n += 1) {
    await openSearch("gpj probe:log*");
    await rows.first().locator("[data-toggle]").click();
    await filters.nth(n).click();
    await page.waitForURL((url) => url.searchParams.get("q") !== "gpj probe:log*");
    await rows.first().waitFor();
    await assertInert(`filter ${n}`);
  }
  console.log("ok  filters");

  await page.goto(`${base}/`);
  const box = page.getByRole("combobox", { name: "Query or id" });
  for (const prefix of ["service:", "value:", "level:", "name:", "<", "=", "j"]) {
    await box.fill("");
    await box.pressSequentially(prefix);
    await page.getByRole("listbox", { name: "Suggestions" }).getByRole("option").first().waitFor({ timeout: 5_000 }).catch(() => {});
    await assertInert(`suggestions for ${prefix}`);
  }
  console.log("ok  suggestions");

  await page.goto(`${base}/services`);
  await page.getByRole("row").nth(1).waitFor();
  await assertInert("services");
  console.log("ok  services");

  for (const id of [whole, ...journeys]) {
    await page.goto(`${base}/journey/${encodeURIComponent(id)}`);
    await treeRows.first().waitFor();
    await treeRows.first().click();
    const details = page.getByRole("complementary", { name: "Details" });
    await details.waitFor();
    const tree = page.getByRole("treegrid", { name: "Journey" });
    const count = Number(await tree.getAttribute("aria-rowcount"));
    await tree.focus();
    for (let row = 0; row < Math.min(count, DETAILS); row += 1) {
      await page.keyboard.press("ArrowDown");
      if (row % 20 === 0) {
        await details.getByRole("button", { name: "Raw" }).click();
        await assertInert(`journey ${id}, row ${row}, raw`);
        await details.getByRole("button", { name: "Fields" }).click();
        await assertInert(`journey ${id}, row ${row}`);
        await tree.focus();
      }
    }
    await page.keyboard.press("End");
    await assertInert(`journey ${id}, the end`);
  }
  console.log(`ok  ${1 + journeys.length} journeys`);

  for (const path of ["/journey/%3Cscript%3Ehostile=1%3C%2Fscript%3E", "/journey/javascript:hostile=1", "/?q=%22%3E%3Cimg%20src=x%20onerror=hostile=1%3E", "/?q=(%3Cscript%3E", "/?from=%3Cscript%3E&to=javascript:hostile=1", "/%3Cscript%3Ehostile=1"]) {
    await page.goto(`${base}${path}`);
    await page.getByRole("main").waitFor();
    await page.waitForLoadState("networkidle");
    // The browser itself reports what is answered with 400 and 404.
    complaints.splice(0, complaints.length, ...complaints.filter((complaint) => !/status of 40[04]/.test(complaint)));
    await assertInert(path);
  }
  console.log("ok  addresses");
} finally {
  await browser.close();
}
