// Drives the built UI in a real browser.
//
//   npm run build && npm run smoke                       against the mock
//   NEEDLE_URL=http://127.0.0.1:7117 npm run smoke       against a running needle
//
// Against a running needle, NEEDLE_JOURNEY names an id whose journey has a log-only service, and
// NEEDLE_LOG_ONLY that service; without them the first record found is opened.
// CHROMIUM names the browser (default /usr/bin/chromium).
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { startMock } from "../dev/mock.mjs";
import { IDS } from "../dev/mock/store.mjs";

const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const mock = process.env.NEEDLE_URL ? null : await startMock();
const base = (process.env.NEEDLE_URL ?? mock?.url ?? "").replace(/\/$/, "");
const journeyId = process.env.NEEDLE_JOURNEY ?? (mock ? IDS.failing : undefined);
const logOnly = process.env.NEEDLE_LOG_ONLY ?? (mock ? "auth" : undefined);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** Runs `steps` on a fresh page; whatever the browser complains about fails it. */
async function onPage(name, options, steps) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(base)) complaints.push(`request elsewhere: ${request.url()}`);
  });
  await steps(page, complaints);
  assert.deepEqual(complaints, [], `${name}: the browser complained`);
  await context.close();
  console.log(`ok  ${name}`);
}

async function assertAccessible(page, name) {
  // Evaluated through the debugger: the page's own policy (no inline scripts) stays as it is.
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((violation) => violation.impact === "serious" || violation.impact === "critical");
  const told = serious.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.slice(0, 4).map((node) => `${node.html}\n      ${node.failureSummary}`).join("\n    ")}`);
  assert.equal(serious.length, 0, `${name}: ${told.join("\n  ")}`);
}

const rows = (page) => page.getByRole("list", { name: "Records" }).getByRole("listitem");
const treeRows = (page) => page.getByRole("treegrid", { name: "Journey" }).getByRole("row");

try {
  for (const colorScheme of ["dark", "light"]) {
    await onPage(`search shows rows (${colorScheme})`, { colorScheme }, async (page) => {
      await page.goto(`${base}/`);
      await rows(page).first().waitFor();
      assert.ok((await rows(page).count()) > 0);
      assert.match(await page.getByRole("slider", { name: /Records over time/ }).getAttribute("aria-valuetext"), /record/);
      await rows(page).first().getByRole("button", { name: /Open/ }).click();
      await rows(page).first().getByText("Ids", { exact: true }).waitFor();
      await assertAccessible(page, `search, ${colorScheme}`);
    });

    await onPage(`a pasted id opens its journey (${colorScheme})`, { colorScheme }, async (page) => {
      await page.goto(`${base}/`);
      if (journeyId) {
        await page.getByRole("combobox", { name: "Query or id" }).fill(journeyId);
        await page.keyboard.press("Enter");
      } else {
        await rows(page).first().getByRole("link").first().click();
      }
      await treeRows(page).first().waitFor();
      if (logOnly) {
        const legend = page.getByRole("list", { name: "Services" }).getByRole("button").filter({ hasText: logOnly });
        assert.match(await legend.innerText(), /inferred/);
        const row = treeRows(page).filter({ has: page.getByLabel("inferred") }).filter({ hasText: logOnly });
        await row.first().click();
        await page.getByText(/Inferred, confidence \d+ %/).waitFor();
      } else {
        await treeRows(page).first().click();
      }
      await page.getByRole("complementary", { name: "Details" }).waitFor();
      await assertAccessible(page, `journey, ${colorScheme}`);
    });

    await onPage(`services are listed (${colorScheme})`, { colorScheme }, async (page) => {
      await page.goto(`${base}/services`);
      await page.getByRole("row").nth(1).waitFor();
      await assertAccessible(page, `services, ${colorScheme}`);
    });
  }

  await onPage("a phone shows the list and the journey", { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, async (page) => {
    await page.goto(`${base}/`);
    await rows(page).first().waitFor();
    await rows(page).first().getByRole("link").first().click();
    await treeRows(page).first().waitFor();
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(overflow, 0, "the page is wider than the screen");
  });

  if (mock) {
    await onPage("hostile text stays text", {}, async (page) => {
      await page.goto(`${base}/journey/${IDS.hostile}`);
      await treeRows(page).nth(2).waitFor();
      const text = await page.getByRole("treegrid").innerText();
      assert.match(text, /<img src=x onerror=alert\(1\)>/);
      assert.match(text, /‹U\+202E›/);
      assert.equal(await page.locator("main img, main script, main iframe").count(), 0);
    });

    await onPage("ten thousand spans in few elements", {}, async (page) => {
      await page.goto(`${base}/journey/${IDS.big}`);
      await page.waitForFunction(() => Number(document.querySelector("[role=treegrid]")?.getAttribute("aria-rowcount")) > 2_000);
      await page.keyboard.press("e");
      const details = page.getByRole("complementary", { name: "Details" });
      // The record of the span was fetched for it.
      await details.getByText("service.version").waitFor();
      await page.getByRole("treegrid").press("Home");
      await treeRows(page).first().getByRole("button", { name: /slowest/ }).click();
      await details.getByText("service.version").waitFor();
      const elements = await page.evaluate(() => document.querySelectorAll("*").length);
      assert.ok(elements < 2_000, `${elements} elements`);
    });

    await onPage("gaps and times of services are told", {}, async (page) => {
      await page.goto(`${base}/journey/${IDS.failing}`);
      await treeRows(page).first().waitFor();
      await page.keyboard.press("g");
      await page.getByRole("complementary", { name: "Details" }).getByText(/nothing recorded for .*no span below, no log/).waitFor();
      assert.equal(await page.locator('[aria-selected="true"] .wf-gap-words').evaluate((words) => getComputedStyle(words).opacity), "1");
      await page.getByRole("button", { name: "Time by service" }).click();
      const times = page.getByRole("region", { name: "Time by service" });
      assert.ok((await times.getByRole("row").count()) > 3);
      await assertAccessible(page, "time by service");
    });

    await onPage("a bad query shows its place", {}, async (page, complaints) => {
      await page.goto(`${base}/?q=${encodeURIComponent("service:(payments")}`);
      const alert = page.getByRole("alert");
      await alert.waitFor();
      assert.match(await alert.innerText(), /service:\(payments\n\s{8}\^/);
      // The browser itself reports the 400.
      complaints.length = 0;
    });

    await onPage("a filter is added, and the text stays", {}, async (page) => {
      await page.goto(`${base}/?q=${encodeURIComponent("Declined   level:ERROR")}`);
      await rows(page).first().getByRole("button", { name: /Open/ }).click();
      await rows(page).first().getByRole("button", { name: "Filter for code" }).click();
      await page.waitForURL(/code/);
      assert.equal(await page.getByRole("combobox", { name: "Query or id" }).inputValue(), "Declined   level:ERROR code:51");
      await rows(page).first().waitFor();
    });

    await onPage("fields and values are suggested, and Enter runs what was typed", {}, async (page) => {
      await page.goto(`${base}/`);
      const box = page.getByRole("combobox", { name: "Query or id" });
      const options = page.getByRole("listbox", { name: "Suggestions" }).getByRole("option");
      await box.pressSequentially("serv");
      await options.first().waitFor();
      await page.keyboard.press("Tab");
      assert.equal(await box.inputValue(), "service:");
      await page.keyboard.type("pa");
      await options.filter({ hasText: "payments" }).waitFor();
      await assertAccessible(page, "suggestions");
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      assert.equal(await box.inputValue(), "service:payments ");
      await page.keyboard.press("Control+z");
      assert.notEqual(await box.inputValue(), "service:payments ");
      await box.fill("");
      await box.pressSequentially("nam");
      await options.first().waitFor();
      await page.keyboard.press("Enter");
      await page.waitForURL(/q=nam$/);
      assert.equal(await options.count(), 0);
    });

    await onPage("counts choose a time, by mouse and by keys, and tell what is missing", {}, async (page) => {
      await page.goto(`${base}/`);
      const plot = page.getByRole("slider", { name: /Records over time/ });
      const told = await plot.getAttribute("aria-valuetext");
      const box = await plot.boundingBox();
      const middle = box.y + box.height / 2;
      await page.mouse.move(box.x + box.width * 0.5, middle);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.8, middle, { steps: 4 });
      await page.mouse.up();
      await page.waitForURL(/from=.*to=/);
      // The bars of the new time are here when they tell another sum.
      await page.mouse.move(1, 1);
      await page.waitForFunction((before) => document.querySelector("[role=slider]")?.getAttribute("aria-valuetext") !== before, told);
      const dragged = page.url();
      await plot.focus();
      await page.keyboard.press("ArrowLeft");
      await page.keyboard.press("Shift+ArrowLeft");
      await page.keyboard.press("Enter");
      await page.waitForURL((url) => url.href !== dragged);
      // Who came by keys goes on with keys.
      assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("role")), "slider");
      await page.goto(`${base}/?from=2001-01-01&to=2001-01-02`);
      await page.getByText("No matching records").waitFor();
      assert.equal(await plot.getAttribute("aria-valuetext"), "0 records");
      await page.goto(`${base}/?q=${encodeURIComponent("-partial")}`);
      await page.getByRole("region", { name: "Records over time" }).getByText("counted, not all").waitFor();
    });

    await onPage("the live tail shows records and gaps", {}, async (page) => {
      await page.goto(`${base}/?live=1`);
      await page.getByText("connected", { exact: true }).waitFor();
      await rows(page).filter({ hasText: "Gap: 412 records" }).first().waitFor({ timeout: 20_000 });
    });

    const empty = await startMock({ empty: true });
    try {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(`${empty.url}/`);
      await page.getByRole("button", { name: "Send a test record from here" }).click();
      await rows(page).filter({ hasText: "first light" }).waitFor();
      await context.close();
      console.log("ok  the first record ends the first-run page");
    } finally {
      empty.stop();
    }
  }
} finally {
  await browser.close();
  mock?.stop();
}
