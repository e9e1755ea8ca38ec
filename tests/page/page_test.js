"use strict";
// What a reader does with the pages. Arguments: the browser, a run's page, where screenshots go, and NAME=PAGE of others, each
// with one chart #NAME. Exit 1 when a check fails.
const assert = require("node:assert");
const path = require("node:path");
const puppeteer = require("puppeteer-core");
const [browserPath, page, shots, ...others] = process.argv.slice(2);
const address = file => "file://" + path.resolve(file);
const charts = ["amount", "freshness", "drift", "classes", "visibility"];
const complaints = [];

async function open(browser, width, scheme, file = page) {
  const url = address(file);
  const tab = await browser.newPage();
  tab.on("console", m => { if (m.type() !== "log") complaints.push(`${width} px ${scheme}: ${m.text()}`); });
  tab.on("pageerror", e => complaints.push(`${width} px ${scheme}: ${e.message}`));
  tab.on("request", r => { if (r.url() !== url && !r.url().startsWith("data:")) complaints.push(`asks for ${r.url()}`); });
  await tab.setViewport({ width, height: 900 });
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await tab.goto(url);
  return tab;
}
const count = (tab, selector) => tab.$$eval(selector, all => all.length);
// The pixels of a chart.
const picture = (tab, id) => tab.$eval(`#${id} canvas`, c => c.toDataURL());

const tests = {
  async every_chart_is_drawn_and_says_what_it_is_of(browser) {
    const tab = await open(browser, 1200, "light");
    for (const id of charts) {
      assert.equal(await count(tab, `#${id} canvas`), 1, id);
      assert.ok(await count(tab, `#${id} .u-legend .u-series`) >= 3, id);
    }
    await tab.screenshot({ path: `${shots}/light.png`, fullPage: true });
  },
  async a_touch_on_a_name_in_the_legend_hides_its_line_and_another_shows_it_again(browser) {
    const tab = await open(browser, 1200, "light");
    const before = await picture(tab, "freshness");
    const name = await tab.$("#freshness .u-legend .u-series:nth-child(4) th");
    await name.click();
    await tab.mouse.move(2, 2);
    assert.equal(await count(tab, "#freshness .u-series.u-off"), 1);
    assert.notEqual(await picture(tab, "freshness"), before);
    await name.click();
    await tab.mouse.move(2, 2);
    assert.equal(await count(tab, "#freshness .u-series.u-off"), 0);
  },
  async a_pointer_over_a_chart_reads_its_values(browser) {
    const tab = await open(browser, 1200, "light");
    const box = await (await tab.$("#amount .u-over")).boundingBox();
    const values = () => tab.$$eval("#amount .u-legend .u-value", all => all.map(e => e.textContent));
    const before = await values();
    await tab.evaluate(() => document.getElementById("amount").scrollIntoView());
    const here = await (await tab.$("#amount .u-over")).boundingBox();
    await tab.mouse.move(here.x + box.width / 2, here.y + box.height / 2);
    const after = await values();
    assert.notDeepEqual(after, before);
    assert.ok(after.slice(1).every(v => /\d/.test(v)), after.join(" | "));
  },
  async a_drag_zooms_and_a_double_click_shows_all_again(browser) {
    const tab = await open(browser, 1200, "light");
    await tab.evaluate(() => document.getElementById("drift").scrollIntoView());
    const box = await (await tab.$("#drift .u-over")).boundingBox();
    const all = await picture(tab, "drift");
    await tab.mouse.move(box.x + box.width * .3, box.y + 40);
    await tab.mouse.down();
    await tab.mouse.move(box.x + box.width * .5, box.y + 60, { steps: 4 });
    await tab.mouse.up();
    await tab.mouse.move(2, 2);
    await new Promise(done => setTimeout(done, 100));
    assert.notEqual(await picture(tab, "drift"), all);
    await tab.mouse.click(box.x + box.width * .4, box.y + 40, { clickCount: 2 });
    await tab.mouse.move(2, 2);
    await new Promise(done => setTimeout(done, 300));
    assert.equal(await picture(tab, "drift"), all);
  },
  async a_stage_and_a_pipeline_are_chosen_by_keyboard(browser) {
    const tab = await open(browser, 1200, "light");
    for (const [select, chart] of [["stage", "amount"], ["of", "classes"]]) {
      const before = await picture(tab, chart);
      await tab.focus(`#${select}`);
      await tab.keyboard.press("ArrowDown");
      await tab.keyboard.press("ArrowDown");
      assert.notEqual(await picture(tab, chart), before, chart);
      assert.equal(await count(tab, `#${chart} canvas`), 1);
    }
  },
  async what_is_folded_opens_by_keyboard(browser) {
    const tab = await open(browser, 1200, "light");
    await tab.focus("details summary");
    await tab.keyboard.press("Enter");
    assert.equal(await count(tab, "details[open]"), 1);
  },
  async an_anomaly_opens_its_story(browser) {
    const tab = await open(browser, 1200, "light");
    const cell = await tab.$("a[href^='#']");
    assert.ok(cell, "a cell that leads to its example");
    const to = await cell.evaluate(a => a.getAttribute("href").slice(1));
    await cell.evaluate(a => a.scrollIntoView());
    await cell.click();
    assert.ok(await tab.evaluate(id => {
      const e = document.getElementById(id);
      return e != null && e.checkVisibility() && e.textContent.includes("tidemark why");
    }, to), to);
  },
  async dark_is_dark_and_light_is_light(browser) {
    const ground = async scheme => {
      const tab = await open(browser, 1200, scheme);
      if (scheme === "dark") await tab.screenshot({ path: `${shots}/dark.png`, fullPage: true });
      const rgb = await tab.$eval("body", e => getComputedStyle(e).backgroundColor);
      return rgb.match(/\d+/g).slice(0, 3).reduce((sum, v) => sum + +v, 0);
    };
    assert.ok(await ground("dark") < 200);
    assert.ok(await ground("light") > 600);
  },
  async a_narrow_screen_scrolls_down_only(browser) {
    const tab = await open(browser, 390, "light");
    await tab.screenshot({ path: `${shots}/narrow.png`, fullPage: true });
    assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    for (const id of charts)
      assert.equal(await count(tab, `#${id} canvas`), 1, id);
  },
  async the_other_pages_draw_their_charts_in_either_light_and_narrow(browser) {
    for (const [id, file] of others.map(o => o.split("=")))
      for (const [width, scheme] of [[1200, "light"], [1200, "dark"], [390, "light"]]) {
        const tab = await open(browser, width, scheme, file);
        await tab.screenshot({ path: `${shots}/${id}-${width}-${scheme}.png`, fullPage: true });
        assert.equal(await count(tab, `#${id} canvas`), 1, id);
        assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${id} is wider than ${width} px`);
        const before = await picture(tab, id);
        await (await tab.$(`#${id} .u-legend .u-series:nth-child(2) th`)).click();
        await tab.mouse.move(2, 2);
        assert.notEqual(await picture(tab, id), before, `${id}: a touch on the legend changes nothing`);
      }
  },
  async it_prints(browser) {
    const tab = await open(browser, 1200, "light");
    const pdf = await tab.pdf({ path: `${shots}/print.pdf`, format: "A4" });
    assert.ok(pdf.length > 20000);
  },
};

(async () => {
  const browser = await puppeteer.launch({ executablePath: browserPath, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    complaints.length = 0;
    try {
      await test(browser);
      assert.deepEqual(complaints, []);
      console.log(`ok    ${name}`);
    } catch (e) {
      failed++;
      console.log(`FAIL  ${name}: ${e.message}`);
    }
  }
  await browser.close();
  console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
})();
