"use strict";
// What a reader does with the pages. Arguments: the browser, a run's page, that page with timed reads, where screenshots go, and NAME=PAGE of others, each
// with one chart #NAME. Exit 1 when a check fails.
const assert = require("node:assert");
const path = require("node:path");
const puppeteer = require("puppeteer-core");
const [browserPath, page, timed, shots, ...others] = process.argv.slice(2);
const address = file => "file://" + path.resolve(file);
const charts = ["amount", "freshness", "drift", "classes", "visibility", "legs"];
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
// A browser answers when it can: asked again for five seconds at most.
async function becomes(what) {
  for (let i = 0; i < 50; i++) {
    if (await what()) return true;
    await new Promise(done => setTimeout(done, 100));
  }
  return false;
}

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
    assert.ok(await becomes(async () => await picture(tab, "drift") !== all), "a drag changes nothing");
    await tab.mouse.click(box.x + box.width * .4, box.y + 40, { clickCount: 2 });
    await tab.mouse.move(2, 2);
    assert.ok(await becomes(async () => await picture(tab, "drift") === all), "a double click does not show all again");
  },
  async a_stage_and_a_pipeline_are_chosen_by_keyboard(browser) {
    const tab = await open(browser, 1200, "light");
    for (const [select, chart] of [["stage", "amount"], ["of", "classes"], ["road", "legs"]]) {
      const before = await picture(tab, chart);
      await tab.focus(`#${select}`);
      await tab.keyboard.press("ArrowDown");
      if (chart !== "legs") await tab.keyboard.press("ArrowDown");
      assert.notEqual(await picture(tab, chart), before, chart);
      assert.equal(await count(tab, `#${chart} canvas`), 1);
    }
  },
  async a_name_in_the_legend_is_reached_by_tab_seen_and_switched_by_keyboard(browser) {
    const tab = await open(browser, 1200, "light");
    await tab.focus("#stage");
    await tab.keyboard.press("Tab");
    const here = () => tab.evaluate(() => { const e = document.activeElement; return [e.tagName, e.getAttribute("aria-pressed"), getComputedStyle(e).outlineStyle]; });
    assert.deepEqual((await here()).slice(0, 2), ["TH", "true"]);
    assert.notEqual((await here())[2], "none", "focus is seen");
    for (const [key, off] of [["Enter", 1], ["Space", 0]]) {
      await tab.keyboard.press(key);
      assert.equal(await count(tab, "#amount .u-series.u-off"), off, key);
      assert.equal((await here())[1], String(!off));
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
  async a_leg_left_out_is_taken_from_every_column(browser) {
    const tab = await open(browser, 1200, "light");
    await tab.evaluate(() => document.getElementById("legs").scrollIntoView());
    const whole = await picture(tab, "legs");
    const box = await (await tab.$("#legs .u-over")).boundingBox();
    await tab.mouse.move(box.x + box.width * .5, box.y + box.height * .5);
    const values = await tab.$$eval("#legs .u-legend .u-value", all => all.map(e => e.textContent));
    assert.ok(values.length >= 5 && values.every(v => /\d/.test(v)), values.join(" | "));
    // What the reader sees is what the report holds: the legs of a column are its whole.
    assert.ok(await tab.evaluate(() => {
      const l = JSON.parse(document.getElementById("data").textContent).legs.find(one => one);
      return l.bands.length >= 10 && l.ms.every(leg => leg.length === l.bands.length) && l.changes.length === l.bands.length;
    }));
    const name = await tab.$("#legs .u-legend .u-series:nth-child(2) th");
    await name.click();
    await tab.mouse.move(2, 2);
    assert.equal(await count(tab, "#legs .u-series.u-off"), 1);
    assert.notEqual(await picture(tab, "legs"), whole);
    await (await tab.$("#legs .u-legend .u-series:nth-child(2) th")).click();
    await tab.mouse.move(2, 2);
    assert.ok(await becomes(async () => await picture(tab, "legs") === whole), "the leg does not come back");
  },
  async a_run_without_timed_reads_says_why_and_one_with_them_draws_both_options(browser) {
    const tab = await open(browser, 1200, "light");
    assert.ok(await tab.$eval("#query", e => /no query has a duration|the raw tables grew from/.test(e.previousElementSibling.textContent)));
    for (const [width, scheme] of [[1200, "light"], [1200, "dark"], [390, "light"]]) {
      const with_reads = await open(browser, width, scheme, timed);
      const says = await with_reads.$eval("#query", e => e.previousElementSibling.textContent);
      assert.ok(/grew from 1,000 rows to 32,000/.test(says) && /option 2 was 195 times faster/.test(says), says);
      assert.equal(await count(with_reads, "#query canvas"), 1);
      assert.equal(await count(with_reads, "#query .u-legend .u-series"), 3);
      await with_reads.evaluate(() => document.getElementById("query").scrollIntoView());
      const box = await (await with_reads.$("#query .u-over")).boundingBox();
      await with_reads.mouse.move(box.x + box.width - 4, box.y + 40);
      const values = await with_reads.$$eval("#query .u-legend .u-value", all => all.map(e => e.textContent));
      assert.equal(values[0], "32,000 rows");
      assert.ok(values.includes("1.6 s"), values.join(" | "));
      await (await with_reads.$("#query")).screenshot({ path: `${shots}/query-${width}-${scheme}.png` });
    }
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
  async paper_is_white_and_unfolded_whatever_the_screen_and_the_screen_is_as_before_afterwards(browser) {
    const folded = tab => count(tab, "details:not([open])"), paper = [];
    for (const scheme of ["light", "dark"]) {
      const tab = await open(browser, 1200, scheme);
      await (await tab.$("#freshness .u-legend .u-series:nth-child(4) th")).click();
      const before = await folded(tab);
      await tab.emulateMediaType("print");
      await tab.evaluate(() => dispatchEvent(new Event("beforeprint")));
      const rgb = await tab.$eval("body", e => getComputedStyle(e).backgroundColor);
      assert.equal(rgb, "rgb(255, 255, 255)");
      assert.equal(await folded(tab), await count(tab, "details.names"), "what is no list of names is open");
      paper.push(await picture(tab, "freshness"));
      await tab.emulateMediaType("screen");
      await tab.evaluate(() => dispatchEvent(new Event("afterprint")));
      assert.equal(await folded(tab), before);
      assert.equal(await count(tab, "#freshness .u-series.u-off"), 1, "the line that was left out still is");
    }
    assert.equal(paper[0], paper[1], "a chart printed from the dark is as one printed from the light");
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
