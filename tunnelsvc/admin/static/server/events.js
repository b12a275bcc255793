// What happened, newest first; older ones on demand.

import { get } from "../shared/api.js";
import { button, h, put, show } from "../shared/dom.js";
import { clock, moment } from "../shared/format.js";
import { t } from "../shared/i18n.js";
import { Table, twoLines } from "../shared/table.js";
import { chips, emptiness, head, mark, matches, search } from "./common.js";
import { GROUPS, kindClass, kindText, subject, withEvents } from "./eventrows.js";

const PAGE = 200;

export class Events {
  id = "events";
  image = "events";
  topics = ["events"];

  constructor(state) {
    this.state = state;
    this.text = "";
    this.group = "";
    this.rows = [];
    this.asked = 0;
    this.head = head(t("view.events"));
    this.search = search((text) => {
      this.text = text;
      this.load();
    });
    this.empty = emptiness("events", t("events.empty"), t("events.empty.text"));
    this.table = new Table({
      label: t("view.events"), key: (row) => row.id, empty: this.empty.element,
      sort: { column: "time", descending: true }, columns: columns(),
    });
    this.older = button(t("events.older"), () => this.loadOlder());
    this.panel = h("section", {}, this.head.element,
      h("div", { class: "toolbar" }, this.search.element,
        chips(t("common.show"), [["", t("common.all")], ...GROUPS.map((each) => [each, t(`group.${each}`)])], (group) => {
          this.group = group;
          this.load();
        })),
      this.table.element, h("div", { class: "after" }, this.older));
    show(this.older, false);
  }

  enter() {
    this.load();
  }

  ask(before = null) {
    const query = new URLSearchParams({ limit: PAGE });
    if (before !== null) query.set("before", before);
    if (this.group) query.set("group", this.group);
    if (this.text) query.set("text", this.text);
    return get(`events?${query}`);
  }

  // Only the last question's answer counts: the filter may have changed meanwhile.
  async load() {
    const turn = (this.asked += 1);
    try {
      const { rows, more } = await this.ask();
      if (turn !== this.asked) return;
      this.rows = rows;
      this.more = more;
      this.show();
    } catch {
      // a toast says it
    }
  }

  async loadOlder() {
    const turn = (this.asked += 1);
    try {
      const { rows, more } = await this.ask(Math.min(...this.rows.map((row) => row.id)));
      if (turn !== this.asked) return;
      this.rows = [...this.rows, ...rows];
      this.more = more;
      this.show();
    } catch {
      // a toast says it
    }
  }

  update(topic, message) {
    if (topic !== "events") return;
    const fresh = (message.rows ?? message.changed ?? []).filter((row) => this.wants(row));
    if (!fresh.length) return;
    this.rows = withEvents(fresh, this.rows);
    this.show();
  }

  wants(row) {
    return (!this.group || row.group === this.group)
      && matches(this.text, row.kind, row.client, row.proxy, row.address, row.detail);
  }

  show() {
    this.empty.say(Boolean(this.group || this.text));
    this.table.show(this.rows);
    show(this.older, this.more);
  }
}

function columns() {
  return [
    { id: "time", label: t("events.time"), class: "plain", width: "17%", sort: (row) => row.id, paint: (cell, row) => {
      put(cell, clock(row.at));
      cell.title = moment(row.at);
    } },
    { id: "what", label: t("events.what"), width: "20%", sort: (row) => kindText(row), paint: (cell, row) => {
      if (!cell.firstChild) cell.append(h("span"));
      mark(cell.firstChild, kindClass(row), kindText(row));
    } },
    { id: "who", label: t("events.who"), width: "26%", sort: (row) => subject(row)[0], paint: (cell, row) => twoLines(cell, ...subject(row)) },
    { id: "detail", label: t("events.detail"), class: "span-end", sort: (row) => row.detail, paint: (cell, row) => {
      put(cell, row.detail);
      cell.title = row.detail;
    } },
  ];
}
