// Who is connected, and who was.

import { attempt, del, get, part, post } from "../shared/api.js";
import { attr, button, h, name as label, put, show } from "../shared/dom.js";
import { confirm } from "../shared/dialog.js";
import { ago, moment, NONE } from "../shared/format.js";
import { number, t } from "../shared/i18n.js";
import { Table, twoLines } from "../shared/table.js";
import { toast } from "../shared/toast.js";
import { chips, clientName, emptiness, head, mark, matches, search } from "./common.js";

export class Clients {
  id = "clients";
  image = "clients";
  topics = ["clients"];

  constructor(state) {
    this.state = state;
    this.text = "";
    this.kind = "all";
    this.blocks = [];
    this.head = head(t("view.clients"));
    this.search = search((text) => {
      this.text = text;
      this.show();
    });
    this.empty = emptiness("clients", t("clients.empty"), t("clients.empty.text"), h("a", { href: "#/start" }, t("view.start")));
    this.table = new Table({
      label: t("view.clients"), key: (row) => row.key, empty: this.empty.element,
      sort: { column: "client", descending: false }, columns: this.columns(),
      decorate: (tr, row) => tr.classList.toggle("faded", !row.online),
    });
    this.list = h("ul");
    this.blocked = h("section", { class: "card blocks", hidden: true }, h("h2", {}, t("clients.blocked")), this.list);
    const kinds = ["all", "online", "offline"].map((each) => [each, t(`common.${each}`)]);
    this.panel = h("section", {}, this.head.element, this.blocked,
      h("div", { class: "toolbar" }, this.search.element, chips(t("common.show"), kinds, (kind) => {
        this.kind = kind;
        this.show();
      }), this.table.sorter),
      this.table.element);
  }

  columns() {
    return [
      { id: "client", label: t("clients.client"), width: "20%", sort: (row) => clientName(row), paint: (cell, row) => twoLines(cell, clientName(row), belowName(row)) },
      { id: "state", label: t("clients.state"), width: "136px", live: true, descending: true, sort: (row) => (row.online ? row.since : row.last_seen - 1e10), paint: paintState },
      { id: "address", label: t("clients.address"), width: "178px", sort: (row) => row.address, paint: (cell, row) => twoLines(cell, row.address, row.protocol) },
      { id: "system", label: t("clients.system"), width: "118px", sort: (row) => row.version, paint: (cell, row) => twoLines(cell, row.version, [row.os, row.arch].filter(Boolean).join(" ")) },
      { id: "rtt", label: t("clients.rtt"), width: "104px", numeric: true, sort: (row) => row.rtt_ms ?? Infinity, text: (row) => (row.rtt_ms === null || row.rtt_ms === undefined ? NONE : t("clients.ms", { n: number(row.rtt_ms, { maximumFractionDigits: row.rtt_ms < 10 ? 1 : 0 }) })) },
      { id: "serves", label: t("clients.serves"), descending: true, sort: (row) => row.proxies.length, paint: paintProxies },
      { id: "actions", label: t("common.actions"), hidden: true, class: "actions", width: "182px", narrow: "100px", paint: (cell, row) => this.paintActions(cell, row) },
    ];
  }

  paintActions(cell, row) {
    cell.row = row;
    const name = clientName(row);
    if (!cell.firstChild) {
      cell.append(
        button(t("clients.kick"), () => this.kick(cell.row), { kind: "small", image: "kick" }),
        button(t("clients.block"), () => this.block(cell.row), { kind: "small", image: "block" }));
    }
    const [kick, block] = cell.children;
    label(kick, t("clients.kick.of", { name }));
    label(block, t("clients.block.of", { name }));
    show(kick, row.online);
    show(block, !row.blocked);
  }

  async kick(row) {
    const name = clientName(row);
    const text = [t("clients.kick.text", { n: row.proxies.length }), t("clients.kick.then")];
    if (!(await this.ask("kick", name, text))) return;
    if (await attempt(() => post(`clients/${part(row.key)}/kick`))) toast(t("clients.kick.done", { name }), "good");
  }

  async block(row) {
    const name = clientName(row);
    const text = [row.online && t("clients.kick.text", { n: row.proxies.length }), t("clients.block.then")].filter(Boolean);
    if (!(await this.ask("block", name, text))) return;
    if (await attempt(() => post(`clients/${part(row.key)}/block`))) toast(t("clients.block.done", { name }), "good");
    await this.loadBlocks();
  }

  ask(action, name, text) {
    return confirm({
      title: t(`clients.${action}.title`, { name }), text, action: t(`clients.${action}`), danger: action !== "allow",
      fallback: () => this.table.element,
    });
  }

  async allow(block) {
    const name = clientName(block);
    if (!(await this.ask("allow", name, [t("clients.allow.text")]))) return;
    if (await attempt(() => del(`blocks/${part(block.id)}`))) toast(t("clients.allow.done", { name }), "good");
    await this.loadBlocks();
    this.panel.querySelector("h1").focus();
  }

  async loadBlocks() {
    try {
      this.blocks = (await get("blocks", { quiet: true })).rows;
    } catch {
      return; // the banner says it
    }
    this.list.replaceChildren(...this.blocks.map((block) => h("li", {},
      h("strong", {}, clientName(block)),
      h("span", { class: "dim" }, [block.address, t("clients.blocked.since", { time: moment(block.since) })].filter(Boolean).join(" · ")),
      button(t("clients.allow"), () => this.allow(block), { kind: "small", image: "check", label: t("clients.allow.of", { name: clientName(block) }) }))));
    show(this.blocked, this.blocks.length);
  }

  enter() {
    this.loadBlocks();
    if (this.state.clients.known) this.show();
  }

  update(topic, message) {
    if (topic !== "clients") return;
    if (message.rows || message.changed?.some((row) => "blocked" in row)) this.loadBlocks();
    this.show();
  }

  show() {
    const all = this.state.clients.all;
    const rows = all.filter((row) => (this.kind === "all" || (this.kind === "online") === row.online)
      && matches(this.text, row.key, row.user, row.client_id, row.hostname, row.address, row.version, row.run_id, ...row.proxies));
    put(this.head.count, t("common.of", { n: rows.length, all: all.length }));
    this.empty.say(all.length > 0);
    this.table.show(rows);
  }

  tick() {
    this.table.tick();
  }
}

function paintState(cell, row) {
  if (!cell.firstChild) cell.append(h("span", { class: "line" }, h("span")), h("span", { class: "line dim" }));
  const state = row.blocked ? ["bad dot", t("common.blocked")] : row.online ? ["good dot", t("common.online")] : ["dot hollow", t("common.offline")];
  mark(cell.firstChild.firstChild, ...state);
  put(cell.children[1], row.online ? ago(row.since) : t("clients.seen", { time: ago(row.last_seen) }));
  attr(cell, "title", moment(row.online ? row.since : row.last_seen));
}

// Hosts are often called what their clients are; then the run id says more.
function belowName(row) {
  return row.client_id && row.hostname && row.hostname !== row.client_id ? row.hostname : row.run_id;
}

function paintProxies(cell, row) {
  const names = row.proxies.join(", ");
  twoLines(cell, row.proxies.length ? t("clients.proxies", { n: row.proxies.length }) : t("clients.none"), names);
}
