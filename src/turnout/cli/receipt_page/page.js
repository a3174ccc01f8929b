"use strict";
// Draws the picture of a receipt: panels below each other on one time axis. Its data is what picture.py says.
// Text of users reaches the page by textContent, and the canvas by the library's plain labels: never as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const place = document.getElementById("picture");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const COLOURS = ["blue", "green"];
  const NICE_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  const NARROW = 640, ROW = 20, NARROW_ROW = 28;

  // Words

  const two = (number) => String(number).padStart(2, "0");
  /** Seconds since the beginning: 0.2 s, 45 s, 2:30, 1:02:30. */
  const since = (s) => {
    if (data.end < 120) return `${+s.toFixed(2)} s`;
    const whole = Math.round(s), minutes = Math.floor(whole / 60);
    return minutes < 60 ? `${minutes}:${two(whole % 60)}`
      : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
  };
  const timeOfDay = (s) => new Date((data.began + data.offset + s) * 1000).toISOString().slice(11, 21) + " " + data.zone;
  const figure = (value) => value == null ? "–" : value >= 100 ? Math.round(value).toLocaleString("en") : String(+value.toFixed(1));

  // Lines: what was counted holds for its whole span; what was looked at, from the look at the span's end to the next.

  const held = (values) => data.spans.flatMap(([from, to], i) => values[i] == null ? [[from, null]] : [[from, values[i]], [to, values[i]]]);
  const seen = (values) => data.spans.map(([, to], i) => [to, values[i]]);
  const steps = (column) => {
    const points = data.weights.map((change) => [change[0], change[column]]);
    return points.length ? [...points, [data.end, points[points.length - 1][1]]] : [];
  };
  const sum = (values) => values.reduce((total, value) => total + (value || 0), 0);
  const failed = data.spans.map((_, i) => sum([data.blue.failed[i], data.green.failed[i], data.unrouted.failed[i]]));
  const errors = COLOURS.map((colour) => sum(data[colour].errors));

  function panels(is) {
    const line = (name, points, colour, more = {}) => ({
      name, type: "line", data: points, symbol: "none", lineStyle: { width: 2, color: colour },
      itemStyle: { color: colour }, ...more,
    });
    const area = (opacity) => ({ areaStyle: { opacity } });
    const per = (member, more, points = held) => COLOURS.map((colour) => line(colour, points(data[colour][member]), is[colour], more));
    const hasTraffic = COLOURS.some((colour) => data[colour].rate.some((rate) => rate != null));
    const list = data.weights.length ? [
      { title: "Weights at the listener, %", height: 90, max: 100, interval: 50, series: COLOURS.map((colour, i) =>
        line(colour, steps(i + 1), is[colour], { step: "end", ...area(0.18) })) },
    ] : [];
    if (hasTraffic) list.push({ title: "Requests per second", height: 130, series: per("rate", area(0.18)) });
    if (sum(failed) + sum(errors) > 0) {
      list.push({ title: "Failed or lost (red), and errors of the application by colour, requests per sample", height: 90, whole: true, series: [
        ...per("errors", area(0.35)),
        line("failed", held(failed), is.bad, area(0.45)),
      ] });
    }
    if (hasTraffic) list.push({ title: "Latency, ms: p50 thick, p99 thin", height: 130, series: [
      ...per("p50", { lineStyle: undefined }).map((one, i) => ({ ...one, lineStyle: { width: 3, color: is[COLOURS[i]] } })),
      ...per("p99").map((one, i) => ({ ...one, lineStyle: { width: 1, color: is[COLOURS[i]] } })),
    ] });
    if (hasTraffic) list.push({ title: "Requests in flight", height: 80, whole: true, series: per("inFlight", { step: "end", ...area(0.18) }, seen) });
    // Green's tasks stand on blue's, so that neither hides the other.
    const on = (member) => data.green[member].map((value, i) => value == null ? null : value + (data.blue.running[i] || 0));
    const filled = (name, values, fill) => line(name, seen(values), fill, { step: "end", lineStyle: { width: 0 }, areaStyle: { color: fill, opacity: 1 } });
    if (data.spans.length) list.push({ title: "Tasks, green on top of blue: running as a line, healthy targets filled", height: 90, whole: true, series: [
      filled("green healthy", on("healthy"), is["green-fill"]),
      filled("blue running", data.blue.running, is.paper),
      filled("blue healthy", data.blue.healthy, is["blue-fill"]),
      line("green", seen(on("running")), is.green, { step: "end" }),
      line("blue", seen(data.blue.running), is.blue, { step: "end" }),
    ] });
    return list;
  }

  // The steps: one row each, a bar from beginning to end, a notch for each reason to wait.

  function stepsPanel(is, isNarrow) {
    const colourOf = (step) => step.status === "Failed" || step.status === "Stopped" ? is.bad
      : step.status === "InProgress" ? is.warn : step.isOurs ? is.ours : is.step;
    const least = data.end * 0.004;
    const bars = data.steps.map((step, i) => ({
      name: step.name, type: "line", symbol: "none", silent: true,
      data: [[step.from, i + 1], [Math.max(step.to, step.from + least), i + 1]],
      lineStyle: { width: isNarrow ? 9 : 11, color: colourOf(step), cap: "butt" },
    }));
    const notches = {
      name: "reasons", type: "scatter", symbol: "rect", symbolSize: [2, isNarrow ? 9 : 11], silent: true, z: 5,
      itemStyle: { color: is.paper, opacity: 1 },
      data: data.steps.flatMap((step, i) => step.whys.filter(([at]) => at > step.from + least).map(([at]) => [at, i + 1])),
    };
    const names = {
      name: "names", type: "scatter", symbolSize: 0.01, silent: true,
      data: data.steps.map((step, i) => ({ value: [0, i + 1], label: { formatter: () => step.name } })),
      label: { show: isNarrow, position: "right", distance: 0, offset: [-2, -13], color: is.ink, fontSize: 11,
        backgroundColor: is.paper, padding: [0, 2] },
    };
    return {
      title: "Steps; notches are new reasons to wait", rows: data.steps.length,
      height: data.steps.length * (isNarrow ? NARROW_ROW : ROW),
      series: [...bars, notches, names],
    };
  }

  // The whole

  const paint = () => {
    const css = getComputedStyle(document.documentElement);
    return Object.fromEntries(["paper", "ink", "soft", "line", "blue", "green", "blue-fill", "green-fill", "bad", "warn", "step", "ours"]
      .map((name) => [name, css.getPropertyValue(`--${name}`).trim()]));
  };

  function option(is, width) {
    const isNarrow = width < NARROW;
    const left = isNarrow ? 40 : 176, right = isNarrow ? 12 : 20;
    const ticks = (width - left - right) / (isNarrow ? 70 : 90);
    const interval = NICE_S.find((nice) => data.end / nice <= ticks) || Math.ceil(data.end / ticks / 86400) * 86400;
    const all = [stepsPanel(is, isNarrow), ...panels(is)];
    const made = { title: [], grid: [], xAxis: [], yAxis: [], series: [] };
    let top = 0;
    all.forEach((panel, i) => {
      const isLast = i === all.length - 1, labelled = i === 0 || isLast;
      made.title.push({ text: panel.title, left: isNarrow ? 0 : left - 4, top, padding: [4, 4],
        textStyle: { fontSize: 13, fontWeight: 600, color: is.ink, width: width - (isNarrow ? 0 : left), overflow: "break", lineHeight: 16 } });
      top += isNarrow && panel.title.length > 52 ? 44 : 28;
      made.grid.push({ left, right, top, height: panel.height });
      top += panel.height + (labelled ? 34 : 16);
      made.xAxis.push({
        type: "value", gridIndex: i, min: 0, max: data.end, interval,
        axisLabel: { show: labelled, color: is.soft, formatter: since, hideOverlap: true, showMaxLabel: false },
        axisTick: { show: labelled }, axisLine: { lineStyle: { color: is.line }, onZero: false },
        splitLine: { lineStyle: { color: is.line, opacity: 0.7 } },
        axisPointer: { show: true, snap: false, label: { show: false }, lineStyle: { color: is.soft } },
      });
      made.yAxis.push(panel.rows != null ? {
        type: "value", gridIndex: i, inverse: true, min: 0.5, max: panel.rows + 0.5, interval: 1, splitLine: { show: false },
        axisLine: { show: false }, axisTick: { show: false }, axisPointer: { show: false }, axisLabel: { show: false },
      } : {
        type: "value", gridIndex: i, min: 0, max: panel.max, interval: panel.interval,
        minInterval: panel.whole ? 1 : undefined, splitNumber: 3,
        axisLabel: { color: is.soft, hideOverlap: true, formatter: (value) => value.toLocaleString("en") },
        splitLine: { lineStyle: { color: is.line, opacity: 0.4 } }, axisPointer: { show: false },
      });
      panel.series.forEach((series) => made.series.push({ ...series, xAxisIndex: i, yAxisIndex: i, emphasis: { disabled: true } }));
      // Where the weights were changed, in every panel.
      panel.series[0] && made.series.push({
        type: "line", data: [], xAxisIndex: i, yAxisIndex: i, silent: true,
        markLine: { silent: true, symbol: "none", animation: false, label: { show: false },
          lineStyle: { color: is.soft, type: [3, 4], width: 1 },
          data: data.weights.slice(1).map(([at]) => ({ xAxis: at })) },
      });
    });
    if (!isNarrow) {
      made.graphic = data.steps.map((step, i) => ({
        type: "text", silent: true, right: width - left + 8, top: made.grid[0].top + i * ROW + 4, style: {
          text: step.name, fill: step.isOurs ? is.soft : is.ink, font: "12px system-ui, sans-serif", textAlign: "right",
          width: left - 10, overflow: "truncate" },
      }));
    }
    return { height: top, option: {
      ...made, animation: false, backgroundColor: "transparent", textStyle: { fontFamily: "system-ui, sans-serif" },
      axisPointer: { link: [{ xAxisIndex: "all" }] },
      tooltip: { trigger: "axis", confine: true, transitionDuration: 0, backgroundColor: is.paper, borderColor: is.line,
        padding: [8, 10], formatter: (found) => tip((Array.isArray(found) ? found[0] : found).axisValue) },
    } };
  }

  // What was the case at one moment

  const indexAt = (at) => data.spans.findIndex(([from, to]) => at >= from && at < to);
  const lookAt = (at) => data.spans.reduce((found, [, to], i) => to <= at ? i : found, -1);
  function tip(at) {
    const box = document.createElement("div"), head = document.createElement("b"), table = document.createElement("table");
    box.className = "tip";
    head.textContent = `${since(at)} · ${timeOfDay(at)}`;
    box.append(head, table);
    const row = (name, cells, tag = "td") => {
      const line = table.insertRow();
      [name, ...cells].forEach((text) => {
        const cell = line.appendChild(document.createElement(tag));
        cell.textContent = text;
        if (tag === "th" && COLOURS.includes(text)) cell.className = text;
      });
    };
    row("", COLOURS, "th");
    const change = data.weights.filter(([from]) => from <= at).pop();
    if (change) row("weight", change.slice(1).map((share) => `${+share.toFixed(1)} %`));
    const both = (name, member, unit, i) => row(name, COLOURS.map((colour) => {
      const value = data[colour][member][i];
      return value == null ? "–" : figure(value) + unit;
    }));
    const i = indexAt(at), look = lookAt(at);
    if (i >= 0 && COLOURS.some((colour) => data[colour].rate[i] != null)) {
      both("requests", "rate", " /s", i);
      both("failed", "failed", "", i);
      both("errors (5xx)", "errors", "", i);
      both("p50", "p50", " ms", i);
      both("p99", "p99", " ms", i);
    }
    if (look >= 0) {
      both("in flight", "inFlight", "", look);
      both("tasks", "running", "", look);
      both("healthy", "healthy", "", look);
    }
    data.steps.filter((step) => step.from <= at && at <= step.to).forEach((step) => {
      const why = step.whys.filter(([from]) => from <= at).pop(), line = document.createElement("p");
      line.textContent = step.name + (why ? `: ${why[1]}` : "");
      box.append(line);
    });
    return box;
  }

  const chart = echarts.init(place, null, { renderer: "canvas", width: place.clientWidth, height: 100 });
  let drawnAt = "";
  function draw() {
    const width = place.clientWidth, wanted = `${width} ${dark.matches}`;
    if (wanted === drawnAt) return;
    drawnAt = wanted;
    const made = option(paint(), width);
    place.style.height = `${made.height}px`;
    chart.resize({ width, height: made.height });
    chart.setOption(made.option, { notMerge: true });
  }
  dark.addEventListener("change", draw);
  new ResizeObserver(draw).observe(place);
  draw();
})();
