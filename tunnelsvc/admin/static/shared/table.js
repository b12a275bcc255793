// Tables of any length: sorted, painted only where something changed, and only as far as is seen.

import { attr, button, h, keyed, put, show, shownIn } from "./dom.js";
import { compare, t } from "./i18n.js";
import "./texts.js";

// Below this all rows are in the page, and the browser's own search finds them.
const WHOLE = 120;
// Rows beyond the edges of the window, so that scrolling shows no gaps.
const MARGIN = 12;
const HOVERS = matchMedia("(hover: hover)");

function order(a, b) {
  if (typeof a === "string" || typeof b === "string") return compare(String(a ?? ""), String(b ?? ""));
  return (a ?? -Infinity) - (b ?? -Infinity) || 0;
}

/**
 * A table. On narrow screens each row becomes a card, and the columns' names are in it.
 *
 * Columns are `{ id, label, text(row) | paint(cell, row), sort(row)?, numeric?, live?, width?,
 * narrow?, descending?, hidden? }`. `paint` is given a cell that it has filled before; `live` ones are
 * painted at each `tick`. `narrow`: the width where buttons are icons only. `descending`: the first click on the heading sorts so. The first column
 * is the rows' heading.
 *
 * While somebody points at a row, or has the focus in it, rows keep their order: nobody closes a
 * connection that just slid below the pointer.
 */
export class Table {
  /** @param options - `label`, `key(row)`, `columns`, `sort: { column, descending }`, `empty` (an element), `decorate(tr, row)?`. */
  constructor({ label, key, columns, sort, empty, decorate = null }) {
    this.keyOf = key;
    this.columns = columns;
    this.sort = sort;
    this.empty = empty;
    this.decorate = decorate;
    this.rows = [];
    this.places = new Map();
    this.height = 0;
    this.shownHeight = 0;
    this.measured = false;
    this.from = 0;
    this.range = [0, WHOLE];
    this.headings = new Map(columns.map((column) => [column.id, this.heading(column)]));
    this.above = h("td", { colspan: columns.length });
    this.below = h("td", { colspan: columns.length });
    this.body = h("tbody", { role: "rowgroup" });
    this.table = h(
      "table", { role: "table", "aria-label": label },
      h("colgroup", {}, columns.map((column) => this.col(column))),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row", "aria-rowindex": "1" }, [...this.headings.values()])),
      this.spacer(this.above), this.body, this.spacer(this.below),
    );
    this.sorter = this.makeSorter();
    this.element = h("div", { class: "table", tabindex: "-1" }, this.table, empty);
    show(empty, false);
    this.showSort();
    this.watch();
  }

  col(column) {
    const col = h("col");
    if (column.width) col.style.width = column.width;
    if (column.narrow) {
      col.style.setProperty("--narrow", column.narrow);
      attr(col, "data-narrow", true);
    }
    return col;
  }

  heading(column) {
    const inside = column.sort
      ? h("button", { type: "button", class: "sort", onclick: () => this.sortBy(column) }, column.label, h("span", { class: "arrow", "aria-hidden": "true" }))
      : h("span", { class: column.hidden ? "unseen" : "" }, column.label);
    return h("th", { scope: "col", role: "columnheader", class: column.numeric ? "numeric" : null }, inside);
  }

  spacer(cell) {
    return h("tbody", { class: "spacer", role: "presentation", "aria-hidden": "true" }, h("tr", { role: "presentation" }, cell));
  }

  makeSorter() {
    const select = h(
      "select", { "aria-label": t("table.sort"), onchange: () => this.sortBy(this.columns.find((each) => each.id === select.value)) },
      this.columns.filter((each) => each.sort).map((each) => h("option", { value: each.id }, each.label)),
    );
    this.select = select;
    this.turn = button(null, () => this.sortBy(this.columns.find((each) => each.id === this.sort.column)), { kind: "icon-only", image: "down", label: t("table.descending") });
    return h("div", { class: "sorter" }, select, this.turn);
  }

  sortBy(column) {
    const same = this.sort.column === column.id;
    this.sort = { column: column.id, descending: same ? !this.sort.descending : Boolean(column.descending) };
    this.showSort();
    this.arrange(true);
    this.paint();
  }

  showSort() {
    for (const [id, node] of this.headings) {
      const sorted = id === this.sort.column;
      attr(node, "aria-sort", sorted ? (this.sort.descending ? "descending" : "ascending") : null);
    }
    this.select.value = this.sort.column;
    attr(this.turn, "aria-label", this.sort.descending ? t("table.ascending") : t("table.descending"));
    this.turn.classList.toggle("turned", !this.sort.descending);
  }

  // Scrolling and sizes are looked at once a frame, and not while anything is written.
  watch() {
    let due = false;
    const later = () => {
      if (due || !this.element.offsetParent) return;
      due = true;
      requestAnimationFrame(() => {
        due = false;
        this.look();
      });
    };
    window.addEventListener("scroll", later, { passive: true });
    // Rows are as high as others of their width; what changes all the time is how many there are.
    let width = 0;
    new ResizeObserver(([entry]) => {
      if (entry.contentRect.width === width) return;
      width = entry.contentRect.width;
      this.measured = false;
      later();
    }).observe(this.element);
    this.later = later;
  }

  look() {
    if (this.rows.length <= WHOLE || !this.element.offsetParent) return;
    const box = this.body.getBoundingClientRect();
    const top = box.top - this.from * this.height;
    if (!this.measured && this.body.firstChild) {
      this.height = box.height / this.body.children.length;
      this.measured = true;
    }
    if (!this.height) return;
    const first = Math.max(0, Math.floor(-top / this.height) - MARGIN);
    const count = Math.ceil(window.innerHeight / this.height) + 2 * MARGIN;
    const start = Math.min(first, Math.max(0, this.rows.length - count));
    if (start === this.range[0] && start + count === this.range[1] && this.shownHeight === this.height) return;
    this.range = [start, start + count];
    this.paint();
  }

  /** Show rows: objects that are never changed, but replaced by others. */
  show(rows) {
    this.rows = rows;
    this.arrange(false);
    this.paint();
    if (rows.length > WHOLE && !this.shownHeight) this.later();
  }

  arrange(anew) {
    const column = this.columns.find((each) => each.id === this.sort.column);
    const sign = this.sort.descending ? -1 : 1;
    const values = new Map(this.rows.map((row) => [row, column.sort(row)]));
    const held = !anew && this.held();
    this.rows = [...this.rows].sort((a, b) => {
      if (held) {
        const known = (this.places.get(this.keyOf(a)) ?? Infinity) - (this.places.get(this.keyOf(b)) ?? Infinity);
        if (known) return known || 0;
      }
      return sign * order(values.get(a), values.get(b)) || order(this.keyOf(a), this.keyOf(b));
    });
    this.places = new Map(this.rows.map((row, place) => [this.keyOf(row), place]));
  }

  held() {
    return this.body.contains(document.activeElement) || (HOVERS.matches && this.body.matches(":hover"));
  }

  paint() {
    const all = this.rows.length <= WHOLE;
    const [from, to] = all ? [0, this.rows.length] : [Math.min(this.range[0], Math.max(0, this.rows.length - 1)), Math.min(this.range[1], this.rows.length)];
    this.from = from;
    this.shownHeight = this.height;
    this.above.style.height = `${from * this.height}px`;
    this.below.style.height = `${(this.rows.length - to) * this.height}px`;
    attr(this.table, "aria-rowcount", this.rows.length + 1);
    const focused = this.body.contains(document.activeElement);
    keyed(this.body, this.rows.slice(from, to), this.keyOf, () => this.makeRow(), (tr, row) => this.paintRow(tr, row));
    // Rows that nobody sees have no numbers to change.
    [...this.body.children].forEach((tr, place) => attr(tr, "aria-rowindex", from + place + 2));
    if (focused && !this.body.contains(document.activeElement) && document.activeElement === document.body) {
      this.element.focus({ preventScroll: true });
    }
    show(this.empty, !this.rows.length);
    show(this.table, this.rows.length);
  }

  makeRow() {
    return h("tr", { role: "row" }, this.columns.map((column, place) => h(
      place ? "td" : "th",
      {
        role: place ? "cell" : "rowheader", scope: place ? null : "row",
        class: [column.numeric && "numeric", column.class].filter(Boolean).join(" ") || null,
        "data-label": column.hidden ? null : column.label,
      },
    )));
  }

  paintRow(tr, row) {
    this.columns.forEach((column, place) => this.paintCell(tr.children[place], column, row));
    this.decorate?.(tr, row);
  }

  paintCell(cell, column, row) {
    if (column.paint) column.paint(cell, row);
    else put(cell, column.text(row));
  }

  /** Paint what changes as time goes by. */
  tick() {
    if (!this.element.offsetParent) return;
    this.columns.forEach((column, place) => {
      if (!column.live) return;
      for (const { node, item } of shownIn(this.body)) this.paintCell(node.children[place], column, item);
    });
  }
}

/** A cell of two lines; made once, then only its texts change. */
export function twoLines(cell, first, second, { mono = false } = {}) {
  if (!cell.firstChild) {
    cell.append(h("span", { class: mono ? "line mono" : "line" }), h("span", { class: "line dim" }));
  }
  put(cell.children[0], first);
  put(cell.children[1], second);
  attr(cell.children[0], "title", first);
  attr(cell.children[1], "title", second || null);
}
