"use strict";
(() => {
  const root = document.documentElement;
  const data = (id) => JSON.parse(document.getElementById(id).textContent);
  const darkColors = data("dark-colors");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const live = document.getElementById("live");
  const plots = [...document.querySelectorAll(".plot")];
  const PRINTED_WIDTH = 680;
  const NARROW = 560;
  let chosen = null;
  let isPrinted = false;

  const isDark = () => !isPrinted && (chosen === null ? prefersDark.matches : chosen === "dark");
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  function template() {
    const [ink, grid, raised, line] = ["--ink", "--grid", "--raised", "--line"].map(color);
    const axis = { gridcolor: grid, linecolor: line, zerolinecolor: grid, tickcolor: line };
    return {
      layout: {
        font: { color: ink, family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 13 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        xaxis: axis,
        yaxis: axis,
        hoverlabel: { bgcolor: raised, bordercolor: line, font: { color: ink }, align: "left" },
      },
    };
  }

  function themed(plot) {
    const dark = isDark();
    const change = (key, value) => (dark && typeof value === "string" && darkColors[value]) || value;
    const figure = JSON.parse(document.getElementById(plot.dataset.figure).textContent, change);
    figure.layout.template = template();
    if (isPrinted) figure.layout.width = PRINTED_WIDTH;
    if (plot.clientWidth < NARROW) {
      figure.layout.font = { size: 11 };
      for (const axis of ["xaxis", "yaxis"]) {
        if (figure.layout[axis]?.title) figure.layout[axis].title.font = { size: 12 };
      }
    }
    return figure;
  }

  const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false, doubleClick: "reset" };

  async function draw(plot) {
    const figure = themed(plot);
    await Plotly.react(plot, figure.data, figure.layout, CONFIG);
    plot.dataset.drawn = isDark() ? "dark" : "light";
  }

  async function drawAll() {
    for (const plot of plots) {
      await draw(plot);
      await new Promise((done) => setTimeout(done));
    }
    root.dataset.drawn = isDark() ? "dark" : "light";
  }

  function follow() {
    if (chosen === null) delete root.dataset.theme;
    else root.dataset.theme = chosen;
    button.textContent = isDark() ? "Light colours" : "Dark colours";
    return drawAll();
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = isDark() ? "light" : "dark";
    follow();
  });
  prefersDark.addEventListener("change", follow);

  // Paper is light, and as wide as it is.
  addEventListener("beforeprint", () => {
    isPrinted = true;
    root.dataset.theme = "light";
    plots.forEach(draw);
  });
  addEventListener("afterprint", () => {
    isPrinted = false;
    follow();
  });

  // By keyboard: left and right go from point to point, up and down from one series to the next.
  function stops(trace) {
    if (trace.visible === "legendonly" || trace.hoverinfo === "skip") return [];
    if (trace.type === "heatmap") {
      return trace.z.flatMap((row, y) => Array.from(row, (_, x) => ({ point: [y, x], text: trace.hovertext[y][x] })));
    }
    const texts = trace.hovertext ?? trace.text ?? [];
    return Array.from(trace.y, (y, point) => ({ point, text: texts[point], y })).filter((one) => one.y !== null && one.text);
  }

  const plain = (text) => {
    const parsed = new DOMParser().parseFromString(String(text), "text/html");
    return parsed.body.textContent;
  };

  function step(plot, event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (event.key === "Escape") {
      Plotly.Fx.unhover(plot);
      return;
    }
    if (!move || !plot.data) return;
    const series = plot.data.map((trace, number) => ({ number, stops: stops(trace) })).filter((one) => one.stops.length);
    if (!series.length) return;
    event.preventDefault();
    const at = plot.at ?? { series: 0, stop: -1 };
    const next = (at.series + move[1] + series.length) % series.length;
    const num = series[next].stops.length;
    at.stop = move[1] ? Math.min(Math.max(at.stop, 0), num - 1) : (at.stop + move[0] + num) % num;
    at.series = next;
    plot.at = at;
    const found = series[next].stops[at.stop];
    Plotly.Fx.hover(plot, [{ curveNumber: series[next].number, pointNumber: found.point }]);
    live.textContent = plain(found.text.replaceAll("<br>", ", "));
  }

  for (const plot of plots) plot.addEventListener("keydown", (event) => step(plot, event));

  follow();
})();
