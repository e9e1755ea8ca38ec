  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const scheme = matchMedia("(prefers-color-scheme: dark)"), root = document.documentElement.classList;
  const dark = { get matches() { return scheme.matches && !root.contains("paper"); } };
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = extra => Object.assign({ stroke: css("--soft"), grid: { stroke: css("--grid"), width: 1 }, ticks: { stroke: css("--grid"), width: 1 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 20 }, extra);
  // As wide as its box, on paper as a sheet of A4 or Letter.
  const room = box => Math.max(280, (root.contains("paper") ? 700 : box.clientWidth) - 18);
  // A name in the legend is a switch for the keyboard as well.
  const plotted = (options, columns, box) => {
    const u = new uPlot(options, columns, box);
    u.root.querySelectorAll(".u-series:not(:first-child)").forEach(row => {
      const name = row.querySelector("th"), say = () => name.setAttribute("aria-pressed", !row.classList.contains("u-off"));
      name.tabIndex = 0;
      name.setAttribute("role", "button");
      name.addEventListener("click", say);
      name.addEventListener("keydown", e => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); name.click(); } });
      say();
    });
    return u;
  };
  // Draws anew; lines that somebody has switched off stay off.
  const redraw = draw => {
    const off = [...document.querySelectorAll(".u-series")].map(e => e.classList.contains("u-off"));
    draw();
    const names = document.querySelectorAll(".u-series th");
    if (names.length === off.length) off.forEach((o, i) => { if (o) names[i].click(); });
  };
  // Draws, and again when the scheme changes and for print. Paper is white and cannot be unfolded: what is folded is printed
  // open, but lists of names, which are pages long.
  const drawn = draw => {
    let folded = [];
    draw();
    scheme.addEventListener("change", () => redraw(draw));
    addEventListener("beforeprint", () => {
      root.add("paper");
      folded = [...document.querySelectorAll("details:not([open]):not(.names)")];
      folded.forEach(e => { e.open = true; });
      redraw(draw);
    });
    addEventListener("afterprint", () => {
      root.remove("paper");
      folded.splice(0).forEach(e => { e.open = false; });
      redraw(draw);
    });
  };
