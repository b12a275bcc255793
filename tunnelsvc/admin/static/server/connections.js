// Who uses what, right now.

import { attempt, part, post } from "../shared/api.js";
import { confirm } from "../shared/dialog.js";
import { attr, button, h, name as label, put, show } from "../shared/dom.js";
import { bytes, duration, moment } from "../shared/format.js";
import { compare, t } from "../shared/i18n.js";
import { Table, twoLines } from "../shared/table.js";
import { toast } from "../shared/toast.js";
import { emptiness, head, matches, search } from "./common.js";

export class Connections {
  id = "connections";
  image = "connections";
  topics = ["connections"];

  constructor(state, go) {
    this.state = state;
    this.text = "";
    this.proxy = "";
    this.head = head(t("view.connections"));
    this.search = search((text) => {
      this.text = text;
      this.show();
    });
    this.proxies = h("select", { "aria-label": t("connections.proxy"), onchange: () => go("connections", this.proxies.value || null) });
    this.empty = emptiness("connections", t("connections.empty"), t("connections.empty.text"));
    this.table = new Table({
      label: t("view.connections"), key: (row) => row.id, empty: this.empty.element,
      sort: { column: "age", descending: false }, columns: this.columns(),
    });
    this.more = h("p", { class: "dim after", hidden: true });
    this.panel = h("section", {}, this.head.element,
      h("div", { class: "toolbar" }, this.search.element, this.proxies, this.table.sorter),
      this.table.element, this.more);
  }

  columns() {
    const now = () => this.state.now();
    return [
      { id: "user", label: t("connections.user"), width: "30%", sort: (row) => row.user, paint: (cell, row) => twoLines(cell, row.user, row.type, { mono: true }) },
      { id: "proxy", label: t("connections.proxy"), width: "26%", sort: (row) => row.proxy, paint: paintProxy },
      { id: "age", label: t("connections.age"), width: "13%", numeric: true, live: true, sort: (row) => -row.since, paint: (cell, row) => {
        put(cell, duration(now() - row.since));
        attr(cell, "title", moment(row.since));
      } },
      { id: "in", label: t("connections.in"), width: "13%", numeric: true, descending: true, sort: (row) => row.in, text: (row) => bytes(row.in) },
      { id: "out", label: t("connections.out"), width: "13%", numeric: true, descending: true, sort: (row) => row.out, text: (row) => bytes(row.out) },
      { id: "actions", label: t("common.actions"), hidden: true, class: "actions", width: "112px", narrow: "62px", paint: (cell, row) => this.paintAction(cell, row) },
    ];
  }

  paintAction(cell, row) {
    cell.row = row;
    if (!cell.firstChild) cell.append(button(t("connections.close"), () => this.close(cell.row), { kind: "small", image: "close" }));
    label(cell.firstChild, t("connections.close.of", { user: row.user }));
  }

  async close(row) {
    const agreed = await confirm({
      title: t("connections.close.title"), text: t("connections.close.text", row), action: t("connections.close"), danger: true,
      fallback: () => this.table.element,
    });
    if (!agreed) return;
    if (await attempt(() => post(`connections/${part(row.id)}/close`))) toast(t("connections.close.done", row), "good");
  }

  enter(proxy) {
    this.proxy = proxy ?? "";
    this.show();
  }

  update(topic) {
    if (topic === "connections") this.show();
  }

  show() {
    if (!this.state.connections.known) return;
    const all = this.state.connections.all;
    this.showProxies(all);
    const rows = all.filter((row) => (!this.proxy || row.proxy === this.proxy) && matches(this.text, row.user, row.proxy, row.type));
    put(this.head.count, t("common.of", { n: rows.length, all: all.length }));
    this.empty.say(all.length > 0);
    put(this.more, t("connections.more", { n: this.state.more }));
    show(this.more, this.state.more > 0);
    this.table.show(rows);
  }

  showProxies(all) {
    const names = new Set(all.map((row) => row.proxy));
    if (this.proxy) names.add(this.proxy);
    const sorted = [...names].sort(compare);
    const shown = sorted.join("\n");
    if (shown !== this.shownProxies) {
      this.shownProxies = shown;
      this.proxies.replaceChildren(h("option", { value: "" }, t("connections.any")), ...sorted.map((name) => h("option", { value: name }, name)));
    }
    if (this.proxies.value !== this.proxy) this.proxies.value = this.proxy;
  }

  tick() {
    this.table.tick();
  }
}

function paintProxy(cell, row) {
  if (!cell.firstChild) cell.append(h("a", { class: "line" }));
  put(cell.firstChild, row.proxy);
  attr(cell.firstChild, "title", row.proxy);
  attr(cell.firstChild, "href", `#/proxies/${encodeURIComponent(row.proxy)}`);
}
