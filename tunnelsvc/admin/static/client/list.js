// The list of requests: a listbox of which only those rows exist that are in sight.

import { attr, h, put } from "../shared/dom.js";
import { bytes, clock } from "../shared/format.js";
import { t } from "../shared/i18n.js";
import { ended, tone } from "./rows.js";
import { span } from "./timing.js";

// Pixels, as client.css has them: rows of one line, and of two where there is little room.
const ROW = 32;
const NARROW_ROW = 50;
// Width below which there is little room.
const NARROW = 520;
// Rows beyond both edges that exist, so that scrolling shows no gaps.
const SPARE = 8;

export class RequestList {
  /**
   * Make an empty list; `element` is to be put somewhere.
   *
   * @param actions - `show(id)` and `mark(id)`, called when somebody wants so, and `enter()`: to go
   *   on to what is shown.
   */
  constructor(actions) {
    this.actions = actions;
    this.rows = [];
    this.places = new Map();
    this.nodes = new Map();
    this.shown = null;
    this.marked = new Set();
    this.window = h("div", { class: "request-window", role: "presentation" });
    this.space = h("div", { class: "request-space", role: "presentation" }, this.window);
    this.element = h(
      "div",
      {
        class: "request-list", role: "listbox", tabindex: "0",
        "aria-label": t("list.label"), "aria-multiselectable": "true", "aria-describedby": "list-keys",
        onkeydown: (event) => this.press(event),
        onclick: (event) => this.click(event),
        onscroll: () => this.paint(),
      },
      this.space,
    );
    new ResizeObserver(() => this.measure()).observe(this.element);
  }

  get height() {
    return this.narrow ? NARROW_ROW : ROW;
  }

  measure() {
    this.narrow = this.element.clientWidth < NARROW;
    this.element.classList.toggle("narrow", this.narrow);
    this.paint();
  }

  /** Show rows; `shown` is the id of the one whose details are seen, `marked` a set of ids. */
  set(rows, shown, marked) {
    // Who has scrolled down goes on seeing what he reads, whatever arrives above.
    const top = this.element.scrollTop;
    const first = top > 0 ? this.rows[Math.floor(top / this.height)] : null;
    const before = first && this.places.get(first.id);
    this.rows = rows;
    this.places = new Map(rows.map((row, at) => [row.id, at]));
    this.shown = shown;
    this.marked = marked;
    this.space.style.height = `${rows.length * this.height}px`;
    const after = first && this.places.get(first.id);
    if (first && after !== undefined && after !== before) {
      this.element.scrollTop = top + (after - before) * this.height;
    }
    this.paint();
  }

  paint() {
    const { scrollTop, clientHeight } = this.element;
    const from = Math.max(0, Math.floor(scrollTop / this.height) - SPARE);
    const to = Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / this.height) + SPARE);
    this.space.style.height = `${this.rows.length * this.height}px`;
    this.window.style.transform = `translateY(${from * this.height}px)`;
    const seen = this.rows.slice(from, to);
    const wanted = new Set(seen.map((row) => row.id));
    for (const [id, entry] of this.nodes) {
      if (wanted.has(id)) continue;
      entry.node.remove();
      this.nodes.delete(id);
    }
    let at = this.window.firstChild;
    seen.forEach((row, place) => {
      const node = this.node(row, from + place);
      if (node === at) at = at.nextSibling;
      else this.window.insertBefore(node, at);
    });
    attr(this.element, "aria-activedescendant", this.nodes.has(this.shown) ? `request-${this.shown}` : null);
  }

  node(row, place) {
    let entry = this.nodes.get(row.id);
    if (!entry) {
      entry = make(row.id);
      this.nodes.set(row.id, entry);
    }
    if (entry.row !== row) {
      entry.row = row;
      fill(entry, row);
    }
    const marked = this.marked.has(row.id);
    attr(entry.node, "aria-selected", String(marked));
    entry.node.classList.toggle("shown", row.id === this.shown);
    attr(entry.node, "aria-posinset", place + 1);
    attr(entry.node, "aria-setsize", this.rows.length);
    put(entry.mark, marked ? "✓" : "");
    return entry.node;
  }

  click(event) {
    const node = event.target.closest("[role=option]");
    if (!node) return;
    const id = Number(node.dataset.id);
    if (event.target.closest(".request-mark") || event.ctrlKey || event.metaKey) this.actions.mark(id);
    else this.actions.show(id);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) this.step(steps[event.key]);
    else if (event.key === " " && this.shown !== null) this.actions.mark(this.shown);
    else if (event.key === "Enter") this.actions.enter();
    else return;
    event.preventDefault();
  }

  step(by) {
    if (!this.rows.length) return;
    const at = this.places.get(this.shown);
    const to = at === undefined ? (by > 0 && by < Infinity ? 0 : by) : at + by;
    const place = Math.min(Math.max(to, 0), this.rows.length - 1);
    this.reveal(place);
    // The address changes a moment later, and the next key may come before that.
    this.shown = this.rows[place].id;
    this.actions.show(this.shown);
  }

  // Scroll a row into sight.
  reveal(place) {
    const { scrollTop, clientHeight } = this.element;
    const top = place * this.height;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) {
      this.element.scrollTop = top + this.height - clientHeight;
    }
  }
}

function make(id) {
  const cell = (name) => h("span", { class: `request-${name}` });
  const entry = { row: null };
  for (const name of ["mark", "time", "method", "status", "path", "ms", "size"]) entry[name] = cell(name);
  attr(entry.mark, "title", t("list.mark"));
  entry.node = h(
    "div",
    { class: "request", role: "option", id: `request-${id}`, "data-id": id },
    entry.mark, entry.time, entry.method, entry.status, entry.path, entry.ms, entry.size,
  );
  return entry;
}

function fill(entry, row) {
  put(entry.time, clock(row.at));
  put(entry.method, row.method);
  put(entry.status, row.status || (row.error ? t("list.failed") : "…"));
  entry.status.className = `request-status ${tone(row)}`;
  entry.path.replaceChildren(
    ...[
      row.replay_of && h("span", { class: "tag", title: t("list.replayOf", { id: String(row.replay_of) }) }, t("list.replay")),
      row.kind === "websocket" && h("span", { class: "tag" }, "WS"),
      h("span", { class: "request-url", title: row.url }, row.path),
    ].filter(Boolean),
  );
  put(entry.ms, ended(row) ? span(row.ms) : "");
  put(entry.size, bytes(row.out));
}
