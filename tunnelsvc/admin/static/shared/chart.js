// Curves and bars in SVG. Each says in words what it shows, and its values can be read one by one.

import { attr, h, put, svg } from "./dom.js";
import { bytes, clock, day, duration, rate } from "./format.js";
import { t } from "./i18n.js";
import "./texts.js";

const WIDTH = 600;
const HEIGHT = 160;
const SERIES = ["in", "out"];
const LEAST_MAX = 1024;
const STEPS = [1, 10, 100].flatMap((each) => [1, 2, 3, 4, 5, 6, 8].map((step) => step * each)).concat(1000);

/** Round up to 1, 2, 3, 4, 5, 6, 8, 10, … 1000 of a unit, so that the scale rarely changes. */
function niceMax(value) {
  let unit = LEAST_MAX;
  while (value > unit * 1000) unit *= 1024;
  for (const step of STEPS) {
    if (value <= step * unit) return step * unit;
  }
  return unit * 1024;
}

function legend() {
  const values = SERIES.map((name) => h("span", { class: "legend-value" }));
  const element = h("div", { class: "legend" }, SERIES.map((name, place) => h(
    "span", { class: `legend-item series-${name}` }, h("span", { class: "swatch", "aria-hidden": "true" }),
    h("span", { class: "dim" }, t(`chart.${name}`)), values[place],
  )));
  return { element, values };
}

function frame(plot, xs) {
  const ys = [h("span"), h("span"), h("span")];
  const grid = [0, 0.5, 1].map((part) => svg("line", {
    class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part,
  }));
  const picture = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true",
  }, grid, plot);
  const note = h("div", { class: "chart-note", hidden: true });
  const said = h("div", { class: "unseen", role: "status" });
  const element = h("div", { class: "chart", role: "img", tabindex: "0" },
    h("div", { class: "chart-y", "aria-hidden": "true" }, ys),
    h("div", { class: "chart-plot" }, picture, note),
    h("div", { class: "chart-x", "aria-hidden": "true" }, xs));
  return { element, picture, note, said, ys };
}

// Point at a value, or reach it by the arrow keys: it is marked, and put into words.
function explore({ element, note, said, picture }, count, describe, mark) {
  let at = null;
  const shown = (place) => {
    at = place;
    note.hidden = place === null;
    mark(place);
    if (place === null) return;
    put(note, describe(place));
    note.style.left = `${((place + 0.5) / count()) * 100}%`;
    note.classList.toggle("from-right", place > count() / 2);
  };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * count());
    shown(count() ? Math.min(count() - 1, Math.max(0, place)) : null);
  });
  picture.addEventListener("pointerleave", () => shown(null));
  element.addEventListener("blur", () => shown(null));
  element.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") shown(null);
    if (!(event.key in steps) || !count()) return;
    event.preventDefault();
    shown(Math.min(count() - 1, Math.max(0, (at ?? count()) + steps[event.key])));
    put(said, note.textContent);
  });
  return () => at !== null && shown(Math.min(at, count() - 1));
}

/** Bytes a second over the last minutes, in and out: `set(points)`, then `push(point)`. */
export class Curve {
  /** @param count - points from edge to edge. @param seconds - between two. */
  constructor({ count = 150, seconds = 2 } = {}) {
    this.count = count;
    this.seconds = seconds;
    this.points = [];
    this.max = 0;
    this.lines = SERIES.map((name) => svg("path", { class: `line series-${name}` }));
    this.areas = SERIES.map((name) => svg("path", { class: `area series-${name}` }));
    this.cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    const xs = [count * seconds, (count * seconds) / 2].map((each) => h("span", {}, t("chart.ago", { time: duration(each) })));
    this.frame = frame([...this.areas, ...this.lines, this.cursor], [...xs, h("span", {}, t("chart.now"))]);
    this.legend = legend();
    this.element = h("div", { class: "figure" }, this.legend.element, this.frame.element, this.frame.said);
    this.again = explore(this.frame, () => this.points.length, (place) => this.describe(place), (place) => this.mark(place));
  }

  /** Show points, `[[in, out], …]`, the oldest first. */
  set(points, seconds = this.seconds) {
    this.seconds = seconds;
    const kept = points.slice(-this.count);
    // A server that began just now has no past; the curve comes in from the right nevertheless.
    this.points = [...Array(this.count - kept.length).fill([0, 0]), ...kept];
    this.paint();
  }

  /** Add the newest point. */
  push(point) {
    this.points = [...this.points.slice(1 - this.count), point];
    this.paint();
  }

  describe(place) {
    const [down, up] = this.points[place];
    const when = Date.now() / 1000 - (this.points.length - 1 - place) * this.seconds;
    return t("chart.at", { time: clock(when), in: rate(down), out: rate(up) });
  }

  mark(place) {
    attr(this.cursor, "visibility", place === null ? "hidden" : "visible");
    if (place === null) return;
    const x = (place / (this.count - 1)) * WIDTH;
    attr(this.cursor, "x1", x);
    attr(this.cursor, "x2", x);
  }

  paint() {
    const most = Math.max(...this.points.flat(), 0);
    const max = niceMax(most);
    if (max !== this.max) {
      this.max = max;
      [max, max / 2, 0].forEach((each, place) => put(this.frame.ys[place], rate(each)));
    }
    SERIES.forEach((name, series) => {
      const line = this.points.map((point, place) => {
        const x = (place / (this.count - 1)) * WIDTH;
        return `${x.toFixed(1)} ${(HEIGHT - (point[series] / max) * HEIGHT).toFixed(1)}`;
      }).join("L");
      this.lines[series].setAttribute("d", line && `M${line}`);
      this.areas[series].setAttribute("d", line && `M0 ${HEIGHT}L${line}L${WIDTH} ${HEIGHT}Z`);
    });
    const [down, up] = this.points.at(-1) ?? [0, 0];
    put(this.legend.values[0], rate(down));
    put(this.legend.values[1], rate(up));
    attr(this.frame.element, "aria-label", t("chart.curve", {
      time: duration(this.count * this.seconds), in: rate(down), out: rate(up), max: rate(most),
    }));
    this.again();
  }
}

/** Bytes a day, in and out on each other: `set([{ date, in, out }, …])`, the oldest first. */
export class Bars {
  constructor() {
    this.days = [];
    this.plot = svg("g");
    this.xs = [h("span"), h("span"), h("span")];
    this.frame = frame([this.plot], this.xs);
    this.legend = legend();
    this.element = h("div", { class: "figure" }, this.legend.element, this.frame.element, this.frame.said);
    this.again = explore(this.frame, () => this.days.length, (place) => this.describe(place), (place) => this.mark(place));
  }

  describe(place) {
    const each = this.days[place];
    return t("chart.at", { time: day(each.date, { weekday: "short", month: "short", day: "numeric" }), in: bytes(each.in), out: bytes(each.out) });
  }

  mark(place) {
    [...this.plot.children].forEach((bar, at) => bar.classList.toggle("marked", at === place));
  }

  set(days) {
    this.days = days;
    const max = niceMax(Math.max(0, ...days.map((each) => each.in + each.out)));
    [max, max / 2, 0].forEach((each, place) => put(this.frame.ys[place], bytes(each)));
    const step = WIDTH / Math.max(1, days.length);
    this.plot.replaceChildren(...days.map((each, place) => {
      const down = (each.in / max) * HEIGHT;
      const up = (each.out / max) * HEIGHT;
      const box = { x: place * step + step * 0.14, width: step * 0.72 };
      return svg("g", { class: "bar" },
        svg("rect", { class: "hit", x: place * step, width: step, y: 0, height: HEIGHT }),
        svg("rect", { class: "series-in", ...box, y: HEIGHT - down, height: down }),
        svg("rect", { class: "series-out", ...box, y: HEIGHT - down - up, height: up }));
    }));
    const middle = Math.floor((days.length - 1) / 2);
    [0, middle, days.length - 1].forEach((at, place) => put(this.xs[place], days[at] ? day(days[at].date) : ""));
    this.sum();
    this.again();
  }

  sum() {
    const total = { in: 0, out: 0 };
    let top = this.days[0];
    for (const each of this.days) {
      total.in += each.in;
      total.out += each.out;
      if (each.in + each.out > top.in + top.out) top = each;
    }
    put(this.legend.values[0], bytes(total.in));
    put(this.legend.values[1], bytes(total.out));
    attr(this.frame.element, "aria-label", t("chart.bars", {
      n: this.days.length, in: bytes(total.in), out: bytes(total.out), day: top ? day(top.date) : "",
    }));
  }
}
