"use strict";
// Draws the figures of a report (sections.py says what their numbers mean). A figure is drawn when it comes near the window; all
// sliders show one training step.
(async () => {
  const DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"};
  const FEW = 60;  // records that are drawn with marks
  const MOST_BANDS = 3;  // in one panel, as in figures' files
  const dark = matchMedia("(prefers-color-scheme: dark)"), narrow = matchMedia("(max-width: 600px)");

  async function unpacked(id) {
    const text = atob(document.getElementById(id).textContent), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  function fail(problem) {
    const place = document.getElementById("failure");
    place.textContent = `The figures cannot be drawn (${problem}). A browser of 2023 or later is needed; tables and words are below.`;
    place.hidden = false;
  }

  // --- small tools ---

  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = value => typeof value === "number" ? value : NaN;  // null: none; a text: infinite
  const shown = value => value === null || value === undefined ? "none" : typeof value === "string" ? value.replace("inf", "∞") :
    String(Number(value.toPrecision(5)));
  // Plotly reads tags and %{…} in texts: a name is shown as it is.
  const text = name => short(name).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/%\{/g, "%\u200b{");
  const EVERY = {label: "", colour: "#808080", dash: "-"};  // of a table that belongs to all runs
  const short = name => name.length > 48 ? name.slice(0, 47) + "…" : name;

  function colour(run, alpha = 1) {
    const parts = [1, 3, 5].map(at => parseInt(run.colour.slice(at, at + 2), 16)).map(part => Math.round(dark.matches ? part + (255 - part) * .35 : part));
    return `rgba(${parts.join(",")},${alpha})`;
  }

  const runOf = (runs, table) => table.run === null ? EVERY : runs[table.run];

  function nearest(sorted, value) {  // place of the number nearest to value
    let low = 0, high = sorted.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value) low = middle; else high = middle;
    }
    return Math.abs(sorted[low] - value) <= Math.abs(sorted[high] - value) ? low : high;
  }

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function hasWebgl() {
    const context = document.createElement("canvas").getContext("webgl");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(context);
  }

  // --- CSV ---

  const cell = value => {
    if (value === null || value === undefined) return "";
    let said = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(said) && !/^-?inf$/.test(said)) said = "'" + said;  // no formula
    return /[",\n\r]/.test(said) ? `"${said.replaceAll('"', '""')}"` : said;
  };

  function csvOf(figure, runs) {
    const heads = ["run", "of", ...figure.choices.map(([label]) => label)], rows = [], columns = new Set();
    for (const table of figure.tables) {
      const names = [runOf(runs, table).label, table.name || "", ...figure.choices.map(([, all], at) => all[table.choice[at]].name)];
      const put = values => { Object.keys(values).forEach(key => columns.add(key)); rows.push([names, values]); };
      if (figure.kind === "series") {
        for (let i = 0; i < table.columns[table.x].length; ++i)
          put(Object.fromEntries(Object.entries(table.columns).map(([key, values]) => [key, values[i]])));
      } else if (figure.kind === "slices") {
        const x = table.size_name || "size";
        table.step.forEach((step, row) => table[x][row].forEach((value, i) => put({step, [x]: value, [table.y]: table[table.y][row][i]})));
      } else {
        table.y.forEach((y, row) => table.x.forEach((x, i) => put({x, y, [table.quantity]: table.z[row][i]})));
        table.trajectory?.x.forEach((x, i) => put({checkpoint: table.trajectory.checkpoint[i], x, y: table.trajectory.y[i], [table.quantity]: table.trajectory.z[i]}));
      }
    }
    const keys = [...columns];
    return [[...heads, ...keys], ...rows.map(([names, values]) => [...names, ...keys.map(key => values[key])])].map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  function download(name, content) {
    const address = URL.createObjectURL(new Blob(["\ufeff", content], {type: "text/csv"}));
    make("a", {href: address, download: name}).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  // --- a figure ---

  class Figure {
    constructor(data, at, page) {
      Object.assign(this, {data, page, runs: page.runs, section: document.getElementById(`figure-${at}`), chosen: data.choices.map(() => 0), visible: false});
      this.plot = this.section.querySelector(".plot");
      this.readout = this.section.querySelector(".readout");
      this.plot.setAttribute("role", "img");
      this.plot.setAttribute("aria-label", `${data.title}; the numbers are in the CSV file`);
      this.steps = data.kind === "slices" ? data.steps : data.kind === "series" && data.tables.some(table => table.x === "step") ?
        [...new Set(data.tables.flatMap(table => table.x === "step" ? table.columns.step : []))].sort((a, b) => a - b) : [];
      this.flat = data.kind === "surface" && !page.webgl;
      this.plot.classList.toggle("tall", data.kind === "surface");
      this.log = null;  // as the quantity asks for
      this.makeControls();
    }

    makeControls() {
      const box = this.section.querySelector(".controls");
      this.data.choices.forEach(([label, names], at) => {
        if (names.length < 2) return;
        const select = make("select", {}, ...names.map((each, place) => make("option", {value: place}, short(each.name))));
        select.addEventListener("change", () => { this.chosen[at] = Number(select.value); this.log = null; this.draw(); });
        box.append(make("label", {}, label, select));
      });
      if (this.data.kind === "surface") {
        const select = make("select", {disabled: !this.page.webgl}, make("option", {value: ""}, "3-D"), make("option", {value: "flat", selected: this.flat}, "contours"));
        select.addEventListener("change", () => { this.flat = select.value !== ""; this.clear(); this.draw(); });
        box.append(make("label", {}, "view", select));
        if (!this.page.webgl) box.append(make("span", {className: "webgl"}, "This browser has no WebGL: contours take the place of 3-D."));
      } else {
        this.logBox = make("input", {type: "checkbox"});
        this.logBox.addEventListener("change", () => { this.log = this.logBox.checked; this.draw(); });
        box.append(make("label", {}, this.logBox, "logarithmic"));
      }
      if (this.steps.length > 1) {
        this.slider = make("input", {type: "range", min: 0, max: this.steps.length - 1, step: 1, value: 0});
        this.slider.setAttribute("aria-label", "training step");
        this.stepText = make("output", {});
        this.slider.addEventListener("input", () => this.page.moveTo(this.steps[this.slider.value], this));
        box.append(make("label", {className: "slide"}, "step", this.slider, this.stepText));
      }
      const button = make("button", {type: "button"}, "CSV");
      button.setAttribute("aria-label", `numbers of ${this.data.title} as CSV`);
      button.addEventListener("click", () => download(this.data.title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") + ".csv", csvOf(this.data, this.runs)));
      box.append(button);
    }

    tables() { return this.data.tables.filter(table => table.choice.every((place, at) => place === this.chosen[at])); }
    quantity() { return this.data.choices.map(([, names], at) => names[this.chosen[at]]).find(each => each.y) || {}; }
    isLog() { return this.log ?? Boolean(this.quantity().log); }
    name(table, more = "") {
      const own = [more, "threshold"].includes(table.name) ? "" : table.name;
      return text([runOf(this.runs, table).label, own, more].filter(Boolean).join(", "));
    }

    // The slider's step; of a figure without a slider the only one there is.
    step() { return this.steps[this.slider ? Number(this.slider.value) : 0]; }

    showStep(step) {
      if (!this.steps.length) return;
      const at = nearest(this.steps, step);
      if (this.slider) {
        this.slider.value = at;
        this.slider.setAttribute("aria-valuetext", `step ${this.steps[at]}`);
        this.stepText.textContent = this.steps[at];
      }
      this.tell();
      if (this.drawn && this.visible) this.data.kind === "slices" ? this.draw() : Plotly.relayout(this.plot, {shapes: this.shapes()});
      else this.old = true;
    }

    tell() {  // the numbers at the slider's step, in words
      if (this.data.kind !== "series" || !this.steps.length) return;
      const parts = this.tables().filter(table => table.x === "step" && table.name !== "threshold").map(table => {
        const row = nearest(table.columns.step, this.step()), own = table.columns.step[row];
        const values = table.draw.filter(each => !each.pale).map(each => each.type === "band" ?
          `${shown(table.columns[each.low][row])} … ${shown(table.columns[each.high][row])}` : shown(table.columns[each.y][row]));
        return `${[runOf(this.runs, table).label, table.name].filter(Boolean).join(", ")}${own === this.step() ? "" : ` (step ${own})`}: ${values.join(", ")}`;
      });
      this.readout.textContent = `Step ${this.step()}. ${parts.join("; ")}`;
    }

    // --- what Plotly is given ---

    layout() {
      const ink = css("--ink"), grid = css("--line"), log = this.isLog() ? "log" : "linear";
      const axis = {gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true, exponentformat: "power"};
      return {paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: ink, size: narrow.matches ? 11 : 13, family: "system-ui, sans-serif"},
        margin: narrow.matches ? {l: 48, r: 8, t: 10, b: 40} : {l: 64, r: 16, t: 32, b: 48}, hovermode: "closest",
        modebar: {bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: ink}, hoverlabel: {bgcolor: css("--paper"), font: {color: ink}}, dragmode: narrow.matches ? false : "zoom",
        legend: {orientation: "h", y: -.18, yanchor: "top", font: {size: narrow.matches ? 10 : 12}}, uirevision: `${this.chosen}${log}`,
        xaxis: {...axis, title: {text: text(this.data.x), standoff: 6}, type: this.data.log_x ? "log" : "linear",
          exponentformat: this.data.log_x ? "power" : "none", separatethousands: !this.data.log_x},
        yaxis: {...axis, title: {text: text(this.quantity().y || ""), standoff: 6}, type: log}};
    }

    // The runs that have a panel each: all, where more than three bands would lie on each other.
    panels() {
      const tables = this.data.kind === "series" ? this.tables().filter(table => table.run !== null) : [], runs = chosen => [...new Set(chosen.map(table => table.run))];
      return runs(tables.filter(table => table.draw.some(each => each.type === "band" && !each.pale))).length > MOST_BANDS ? runs(tables) : [];
    }
    columns() { return narrow.matches ? 1 : 2; }

    // A panel for each run, all with the same axes. What belongs to no run is drawn in each.
    apart(traces, layout) {
      const runs = this.panels(), rows = Math.ceil(runs.length / this.columns());
      this.plot.style.height = runs.length ? `${90 + 230 * rows}px` : "";
      if (!runs.length) return [traces, layout];
      const {xaxis, yaxis} = layout, columns = this.columns(), part = (at, of, before, behind) => [at / of + before / of, (at + 1) / of - behind / of];
      layout = {...layout, showlegend: false, annotations: []};
      runs.forEach((run, at) => {
        const end = at ? at + 1 : "", row = Math.floor(at / columns), lowest = at + columns >= runs.length;
        layout[`xaxis${end}`] = {...xaxis, anchor: `y${end}`, domain: columns > 1 ? part(at % columns, columns, .05, .02) : [0, 1], title: {...xaxis.title, text: lowest ? xaxis.title.text : ""}, ...(at ? {matches: "x"} : {})};
        layout[`yaxis${end}`] = {...yaxis, anchor: `x${end}`, domain: part(rows - 1 - row, rows, .16, .1), title: {...yaxis.title, text: at % columns ? "" : yaxis.title.text}, ...(at ? {matches: "y"} : {})};
        layout.annotations.push({text: `<b>${text(this.runs[run].label)}</b>`, xref: `x${end} domain`, yref: `y${end} domain`, x: 0, y: 1, xanchor: "left", yanchor: "bottom", showarrow: false, font: {color: colour(this.runs[run])}});
      });
      const placed = (trace, at) => ({...trace, xaxis: `x${at ? at + 1 : ""}`, yaxis: `y${at ? at + 1 : ""}`});
      return [traces.flatMap(trace => trace.legendgroup === "null" ? runs.map((_, at) => placed(trace, at)) : [placed(trace, runs.indexOf(Number(trace.legendgroup)))]), layout];
    }

    shapes() {
      const seen = new Set(), result = [], runs = this.panels(), all = runs.length ? runs.map((_, at) => at ? at + 1 : "") : [""];
      const reference = end => ({xref: `x${end}`, yref: runs.length ? `y${end} domain` : "paper"});
      for (const table of this.tables()) for (const hole of table.holes || []) for (const end of runs.length && table.run !== null ? [all[runs.indexOf(table.run)]] : all) {
        const key = `${hole.from} ${hole.to} ${end}`;
        if (seen.has(key)) continue;
        seen.add(key);
        result.push({type: "rect", ...reference(end), x0: hole.from, x1: hole.to, y0: 0, y1: 1, fillcolor: css("--hole"), layer: "below",
          line: {width: 1, color: css("--hole")}});
      }
      if (this.slider && this.data.kind === "series") for (const end of all)
        result.push({type: "line", ...reference(end), x0: this.step(), x1: this.step(), y0: 0, y1: 1, line: {color: css("--soft"), width: 1.5, dash: "dot"}});
      return result;
    }

    series() {
      const traces = [], usable = value => Number.isFinite(value) && (!this.isLog() || value > 0);
      for (const table of this.tables()) {
        const run = runOf(this.runs, table), x = table.columns[table.x], mode = x.length <= FEW ? "lines+markers" : "lines";
        const common = {type: "scatter", x, legendgroup: String(table.run), connectgaps: false, marker: {size: 4}};
        for (const each of table.draw) {
          if (each.type === "band") {
            const [low, high] = [each.low, each.high].map(key => table.columns[key].map(number)), polygon = {x: [], y: []};
            for (let i = 0, first = -1; i <= x.length; ++i) {
              const there = i < x.length && usable(low[i]) && usable(high[i]);
              if (there && first < 0) first = i;
              if (there || first < 0) continue;
              const places = Array.from({length: i - first}, (_, k) => first + k), back = [...places].reverse();
              polygon.x.push(...places.map(k => x[k]), ...back.map(k => x[k]), null);
              polygon.y.push(...places.map(k => low[k]), ...back.map(k => high[k]), null);
              first = -1;
            }
            traces.push({...common, ...polygon, mode: "lines", fill: "toself", fillcolor: colour(run, each.pale ? .13 : .32), line: {width: 0}, hoverinfo: "skip",
              name: this.name(table), showlegend: !each.pale});
            if (each.pale) continue;
            for (const [values, word] of [[low, "least"], [high, "largest"]])
              traces.push({...common, y: values, mode, line: {width: x.length > 5 * FEW ? .5 : 1, color: colour(run, x.length > 5 * FEW ? .6 : 1), dash: DASHES[run.dash]}, marker: {size: 4, color: colour(run)},
                showlegend: false, hovertemplate: `${this.name(table)}<br>${text(this.data.x)} %{x}<br>${word} %{y:.5g}<extra></extra>`});
          } else {
            const name = this.name(table, each.name), dash = each.dash === "solid" ? DASHES[run.dash] : each.dash;
            traces.push({...common, y: table.columns[each.y].map(number), mode: each.markers ? "lines+markers" : table.name === "threshold" ? "lines" : mode, name, line: {width: table.name === "threshold" ? 1 : 1.5,
              color: colour(run, table.name === "threshold" ? .75 : 1), dash}, marker: {size: 5, color: colour(run)},
              hovertemplate: `${name}<br>${text(this.data.x)} %{x}<br>%{y:.5g}<extra></extra>`});
          }
        }
      }
      return this.apart(traces, {...this.layout(), shapes: this.shapes()});
    }

    slices() {
      const layout = this.layout(), positive = value => Number.isFinite(value) && (value > 0 || !this.isLog()), ends = [Infinity, -Infinity];
      const traces = this.tables().map(table => {
        const x = table[table.size_name || "size"], y = table[table.y], row = nearest(table.step, this.step()), own = table.step[row], run = runOf(this.runs, table);
        for (const values of y) for (const value of values) if (positive(number(value))) { ends[0] = Math.min(ends[0], value); ends[1] = Math.max(ends[1], value); }
        const stepped = table.mode === "steps", name = this.name(table, own === this.step() ? "" : `step ${own}`);
        return {type: "scatter", x: x[row].map(number), y: y[row].map(number), mode: stepped ? "lines" : table.mode, name, fill: stepped && !this.isLog() ? "tozeroy" : "none",
          fillcolor: colour(run, .2), line: {color: colour(run), width: 1.5, shape: stepped ? "hvh" : "linear", dash: DASHES[run.dash]},
          marker: {size: 6, color: colour(run)}, hovertemplate: `${name}<br>%{x:.4g}: %{y:.5g}<extra></extra>`};
      });
      if (this.data.log_x && ends[0] <= ends[1]) {  // the same axis at all steps
        const [low, high] = this.isLog() ? ends.map(Math.log10) : ends, room = .05 * (high - low) || .5;
        layout.yaxis.range = [low - room, high + room];
      }
      return [traces, layout];
    }

    surface() {
      const layout = this.layout(), table = this.tables()[0];
      if (!table) return [[], layout];
      const scaled = value => table.log ? Math.log10(value) : value, z = table.z.map(row => row.map(number));
      const colours = z.map(row => row.map(scaled)), finite = colours.flat().filter(Number.isFinite);
      if (!finite.length) return [[], layout];
      const low = finite.reduce((a, b) => Math.min(a, b)), high = finite.reduce((a, b) => Math.max(a, b));
      const ticks = table.log ? [...Array(Math.max(0, Math.floor(high) - Math.ceil(low) + 1)).keys()].map(k => Math.ceil(low) + k) : [];
      const bar = {thickness: 12, len: .8, title: {text: text(this.quantity().y), side: "right"}, ...(ticks.length > 1 ?
        {tickvals: ticks, ticktext: ticks.map(k => String(Number((10 ** k).toPrecision(1))))} : table.log ? {title: {text: `log₁₀ ${text(this.quantity().y)}`, side: "right"}} : {})};
      const path = table.trajectory, ink = css("--ink"), words = z.map(row => row.map(value => Number.isFinite(value) ? shown(value) : "none"));
      const traces = [], points = table.points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
      const told = path?.checkpoint.map((step, i) => `checkpoint ${step}: ${shown(path.z[i])}`);
      if (this.flat) {
        traces.push({type: "contour", x: table.x, y: table.y, z: colours, colorscale: "Viridis", text: words, colorbar: bar, ncontours: 24, connectgaps: false,
          contours: {coloring: "heatmap"}, line: {width: .6, color: "rgba(255,255,255,.55)"}, hovertemplate: "x %{x:.4g}, y %{y:.4g}<br>%{text}<extra></extra>"});
        if (path) traces.push({type: "scatter", x: path.x, y: path.y, mode: "lines+markers", line: {color: "#fff", width: 2}, marker: {color: "#000", size: 6, line: {color: "#fff", width: 1}},
          text: told, hovertemplate: "%{text}<extra></extra>", name: "path of training", showlegend: true});
        if (points.length) traces.push({type: "scatter", x: points.map(each => each[0]), y: points.map(each => each[1]), mode: "markers+text", text: points.map(each => text(each[2])),
          textposition: "top center", textfont: {color: "#fff"}, marker: {color: "#fff", size: 8}, name: "weights", showlegend: true});
        layout.xaxis.range = [table.x[0], table.x.at(-1)];
        layout.yaxis = {...layout.yaxis, type: "linear", title: {text: "y"}, range: [table.y[0], table.y.at(-1)]};
        layout.plot_bgcolor = css("--hole");
        return [traces, layout];
      }
      traces.push({type: "surface", x: table.x, y: table.y, z, surfacecolor: colours, colorscale: "Viridis", colorbar: bar, text: words, showscale: !narrow.matches,
        hovertemplate: "x %{x:.4g}, y %{y:.4g}<br>%{text}<extra></extra>", lighting: {ambient: .75, diffuse: .5, specular: .05}});
      if (path) {
        const inside = path.x.map((x, i) => x >= table.x[0] && x <= table.x.at(-1) && path.y[i] >= table.y[0] && path.y[i] <= table.y.at(-1));
        traces.push({type: "scatter3d", x: path.x.map((x, i) => inside[i] ? x : null), y: path.y.map((y, i) => inside[i] ? y : null), z: path.z.map((value, i) => inside[i] ? number(value) : null),
          mode: "lines+markers", line: {color: ink, width: 5}, marker: {color: "#D55E00", size: 4}, text: told, hovertemplate: "%{text}<extra></extra>", name: "path of training", showlegend: true});
      }
      const seen = points.filter(each => Number.isFinite(number(each[3])));
      if (seen.length) traces.push({type: "scatter3d", x: seen.map(each => each[0]), y: seen.map(each => each[1]), z: seen.map(each => number(each[3])), mode: "markers+text",
        text: seen.map(each => text(each[2])), textfont: {color: ink}, marker: {color: "#D55E00", size: 5}, hovertemplate: "%{text}<extra></extra>", name: "weights", showlegend: true});
      const axis = {gridcolor: css("--line"), color: ink, backgroundcolor: "rgba(0,0,0,0)", exponentformat: "power"};
      layout.scene = {xaxis: {...axis, title: {text: "x"}}, yaxis: {...axis, title: {text: "y"}}, zaxis: {...axis, title: {text: text(this.quantity().y)}, type: table.log ? "log" : "linear"},
        camera: {eye: {x: 1.35, y: -1.45, z: .95}}, aspectmode: "manual", aspectratio: {x: 1, y: 1, z: .7}, uirevision: "kept"};
      layout.margin = {l: 0, r: 0, t: 0, b: 0};
      layout.dragmode = "turntable";
      return [traces, layout];
    }

    async draw() {
      if (this.logBox) this.logBox.checked = this.isLog();
      const [traces, layout] = this[this.data.kind]();
      const empty = !traces.some(trace => (trace.y || []).some(Number.isFinite));
      if (empty) layout.annotations = [{text: "no value to draw", showarrow: false, xref: "paper", yref: "paper", x: .5, y: .5, font: {size: 16}}];
      this.tell();
      this.old = false;
      await Plotly.react(this.plot, traces, layout, {responsive: true, displaylogo: false, displayModeBar: !narrow.matches, modeBarButtonsToRemove: ["lasso2d", "select2d"], plotlyServerURL: ""});
      if (!this.drawn && this.slider && this.data.kind === "series")
        this.plot.on("plotly_click", event => this.page.moveTo(event.points[0].x, null));
      this.drawn = true;
    }

    clear() {
      if (this.drawn) Plotly.purge(this.plot);
      this.drawn = false;
    }

    async see(visible) {
      this.visible = visible;
      if (visible && (!this.drawn || this.old)) await this.draw();
      if (!visible && this.data.kind === "surface" && !this.flat) this.clear();  // a browser has few WebGL contexts
    }
  }

  // --- the page ---

  class Page {
    constructor(data) {
      this.runs = data.runs;
      this.webgl = data.figures.some(figure => figure.kind === "surface") && hasWebgl();
      this.figures = data.figures.map((figure, at) => new Figure(figure, at, this));
      const steps = this.figures.flatMap(figure => figure.steps);
      this.moveNow(steps.length ? steps.reduce((a, b) => Math.max(a, b)) / 2 : 0);
    }

    moveTo(step, from) {  // once for each frame that is shown
      if (this.waiting === undefined) requestAnimationFrame(() => { const wanted = this.waiting; this.waiting = undefined; this.moveNow(wanted); });
      this.waiting = step;
      if (from) from.stepText.textContent = step;
    }

    moveNow(step) { for (const figure of this.figures) figure.showStep(step); }

    watch() {
      const seen = new IntersectionObserver(async entries => {
        for (const entry of entries) await this.figures.find(figure => figure.section === entry.target).see(entry.isIntersecting);
        document.documentElement.dataset.ready ??= String(Math.round(performance.now()));
      }, {rootMargin: "200px"});
      for (const figure of this.figures) seen.observe(figure.section);
      const again = () => { for (const figure of this.figures) figure.visible ? figure.draw() : figure.old = true; };
      dark.addEventListener("change", again);
      narrow.addEventListener("change", again);
      addEventListener("beforeprint", () => { for (const figure of this.figures) if (!figure.drawn) figure.draw(); });
    }
  }

  try {
    if (!window.DecompressionStream) throw new Error("it cannot unpack gzip");
    const [data, library] = await Promise.all([unpacked("data"), unpacked("plotly")]);
    document.head.append(make("script", {textContent: library}));
    new Page(JSON.parse(data)).watch();
  } catch (problem) {
    fail(problem.message);
    throw problem;
  }
})();
