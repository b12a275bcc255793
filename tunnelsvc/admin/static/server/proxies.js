// What clients offer, and how it is used.

import { attempt, get, part, post } from "../shared/api.js";
import { Bars, Curve } from "../shared/chart.js";
import { copyButton } from "../shared/copy.js";
import { confirm, open } from "../shared/dialog.js";
import { attr, button, h, name as label, put, show } from "../shared/dom.js";
import { ago, bytes, moment, NONE } from "../shared/format.js";
import { number, t } from "../shared/i18n.js";
import { Table } from "../shared/table.js";
import { toast } from "../shared/toast.js";
import { addresses, chips, emptiness, head, inAndOut, mark, matches, search } from "./common.js";

const STATES = {
  online: ["good dot", "common.online"], offline: ["dot hollow", "common.offline"], disabled: ["warn dot", "common.disabled"],
};

function stateOf(proxy) {
  if (proxy.disabled) return "disabled";
  return proxy.online ? "online" : "offline";
}

export class Proxies {
  id = "proxies";
  image = "proxies";
  topics = ["proxies"];

  constructor(state, go) {
    this.state = state;
    this.go = go;
    this.text = "";
    this.kind = "all";
    this.type = "";
    this.detail = null;
    this.head = head(t("view.proxies"));
    this.search = search((text) => {
      this.text = text;
      this.show();
    });
    this.types = h("select", {
      "aria-label": t("proxies.type"),
      onchange: () => {
        this.type = this.types.value;
        this.show();
      },
    }, h("option", { value: "" }, t("proxies.type.all")));
    this.empty = emptiness("proxies", t("proxies.empty"), t("proxies.empty.text"), h("a", { href: "#/start" }, t("view.start")));
    this.table = new Table({
      label: t("view.proxies"), key: (row) => row.name, empty: this.empty.element,
      sort: { column: "proxy", descending: false }, columns: this.columns(),
      decorate: (tr, row) => tr.classList.toggle("faded", !row.online || row.disabled),
    });
    const kinds = ["all", "online", "offline", "disabled"].map((each) => [each, t(`common.${each}`)]);
    this.panel = h("section", {}, this.head.element,
      h("div", { class: "toolbar" }, this.search.element, chips(t("common.show"), kinds, (kind) => {
        this.kind = kind;
        this.show();
      }), this.types, this.table.sorter),
      this.table.element);
  }

  columns() {
    return [
      { id: "proxy", label: t("proxies.proxy"), width: "18%", sort: (row) => row.name, paint: (cell, row) => paintName(cell, row) },
      { id: "state", label: t("proxies.state"), width: "118px", live: true, sort: (row) => stateOf(row), paint: paintState },
      { id: "address", label: t("proxies.address"), class: "span", sort: (row) => addresses(row)[0]?.text ?? "", paint: paintAddress },
      { id: "connections", label: t("proxies.connections"), width: "94px", numeric: true, descending: true, sort: (row) => row.connections, text: (row) => number(row.connections) },
      { id: "now", label: t("proxies.now"), width: "102px", numeric: true, descending: true, sort: (row) => (row.rate?.in ?? 0) + (row.rate?.out ?? 0), paint: (cell, row) => inAndOut(cell, row.rate, true) },
      { id: "today", label: t("proxies.today"), width: "98px", numeric: true, descending: true, sort: (row) => row.today.in + row.today.out, paint: (cell, row) => inAndOut(cell, row.today) },
      { id: "total", label: t("proxies.total"), width: "98px", numeric: true, descending: true, sort: (row) => row.total.in + row.total.out, paint: (cell, row) => inAndOut(cell, row.total) },
      { id: "actions", label: t("common.actions"), hidden: true, class: "actions", width: "120px", narrow: "62px", paint: (cell, row) => this.paintAction(cell, row) },
    ];
  }

  paintAction(cell, row) {
    cell.row = row;
    if (!cell.firstChild) {
      cell.append(
        button(t("proxies.disable"), () => this.turn(cell.row, "disable"), { kind: "small", image: "pause" }),
        button(t("proxies.enable"), () => this.turn(cell.row, "enable"), { kind: "small", image: "play" }));
    }
    const [disable, enable] = cell.children;
    label(disable, t("proxies.disable.of", { name: row.name }));
    label(enable, t("proxies.enable.of", { name: row.name }));
    const focused = cell.contains(document.activeElement);
    show(disable, !row.disabled);
    show(enable, row.disabled);
    // The button is another one now, but what was focused is still what turns this proxy on or off.
    if (focused) (row.disabled ? enable : disable).focus({ preventScroll: true });
  }

  async turn(row, action) {
    const { name } = row;
    const text = action === "disable"
      ? [t("proxies.disable.text", { n: row.connections }), t("proxies.disable.then")] : [t("proxies.enable.text")];
    const agreed = await confirm({
      title: t(`proxies.${action}.title`, { name }), text, action: t(`proxies.${action}`), danger: action === "disable",
      fallback: () => this.table.element,
    });
    if (!agreed) return;
    if (await attempt(() => post(`proxies/${part(name)}/${action}`))) toast(t(`proxies.${action}.done`, { name }), "good");
  }

  enter(name) {
    if (this.state.proxies.known) this.show();
    this.wanted = name;
    if (this.detail && this.detail.name !== name) this.detail.close();
    this.openWanted();
  }

  leave() {
    this.detail?.close();
  }

  // The address may name a proxy before its row has come.
  openWanted() {
    const name = this.wanted;
    if (!name || !this.state.proxies.known || this.detail) return;
    this.wanted = null;
    if (!this.state.proxies.get(name)) {
      toast(t("proxies.gone"), "bad");
      this.go("proxies");
      return;
    }
    this.detail = new Detail(name, this.state, this.go, () => {
      this.detail = null;
      if (location.hash === `#/proxies/${encodeURIComponent(name)}`) this.go("proxies");
    });
  }

  update(topic) {
    if (topic !== "proxies") return;
    this.show();
    this.openWanted();
    this.detail?.show();
  }

  show() {
    const all = this.state.proxies.all;
    this.showTypes(all);
    const rows = all.filter((row) => (this.kind === "all" || stateOf(row) === this.kind)
      && (!this.type || row.type === this.type)
      && matches(this.text, row.name, row.type, row.client, row.user, row.remote_addr, ...row.urls ?? []));
    put(this.head.count, t("common.of", { n: rows.length, all: all.length }));
    this.empty.say(all.length > 0);
    this.table.show(rows);
  }

  showTypes(all) {
    const types = [...new Set(all.map((row) => row.type))].sort();
    const shown = types.join();
    if (shown === this.shownTypes) return;
    this.shownTypes = shown;
    this.types.replaceChildren(this.types.firstChild, ...types.map((type) => h("option", { value: type }, type)));
    this.types.value = types.includes(this.type) ? this.type : "";
    this.type = this.types.value;
  }

  tick() {
    this.table.tick();
  }
}

function paintName(cell, row) {
  if (!cell.firstChild) {
    cell.append(h("a", { class: "line" }), h("span", { class: "line dim" }, h("span", { class: "tag" }), " ", h("span")));
  }
  const [link, below] = cell.children;
  put(link, row.name);
  attr(link, "title", row.name);
  attr(link, "href", `#/proxies/${encodeURIComponent(row.name)}`);
  attr(link, "aria-label", t("proxies.details", { name: row.name }));
  put(below.firstChild, row.type);
  put(below.lastChild, row.client);
}

function paintState(cell, row) {
  if (!cell.firstChild) cell.append(h("span", { class: "line" }, h("span")), h("span", { class: "line dim" }));
  const [kind, key] = STATES[stateOf(row)];
  mark(cell.firstChild.firstChild, kind, t(key));
  const since = row.online ? row.started_at : row.closed_at;
  const reason = row.online ? "" : row.closed_reason;
  put(cell.children[1], reason || ago(since));
  attr(cell, "title", [moment(since), reason].filter(Boolean).join(" · "));
}

function paintAddress(cell, row) {
  const found = addresses(row);
  const shown = JSON.stringify(found);
  if (cell.shown === shown) return;
  cell.shown = shown;
  cell.replaceChildren();
  if (!found.length) {
    put(cell, NONE);
    return;
  }
  cell.append(addressLine(found[0]));
  if (found.length > 1) cell.append(h("span", { class: "line dim" }, t("proxies.more", { n: found.length - 1 })));
}

// Names are what people know a site by; what is copied is the whole address.
const brief = (url) => url.replace(/^https?:\/\//, "").replace(/\/$/, "");

function addressLine({ text, href }) {
  // The port is what tells addresses of a host from each other, so it stays when there is no room.
  const [, place, rest] = /^(.*?)((?::\d+)?(?:\/.*)?)$/.exec(brief(text));
  const parts = [place, rest].map((each) => h("span", {}, each));
  const node = href
    ? h("a", { class: "place", href, target: "_blank", rel: "noopener noreferrer", title: t("proxies.open", { url: text }) }, parts)
    : h("span", { class: "place", title: text }, parts);
  return h("span", { class: "with-copy" }, node, copyButton(() => text, text));
}

// One proxy, in a dialog.
class Detail {
  constructor(name, state, go, closed) {
    this.name = name;
    this.state = state;
    this.curve = new Curve();
    this.bars = new Bars();
    this.values = {};
    this.rows = {};
    const row = state.proxies.get(name);
    const facts = ["state", "client", "connections", "now", "today", "total", "started", "closed", "reason"].map((key) => {
      this.values[key] = h("dd");
      return (this.rows[key] = h("div", { class: "fact" }, h("dt", {}, t(`proxies.${key}`)), this.values[key]));
    });
    this.addresses = h("div");
    open({
      title: name, wide: true,
      content: h("div", { class: "detail grid" },
        h("div", { class: "reached" }, h("span", { class: "tag" }, row.type), this.addresses),
        h("dl", { class: "facts apart" }, facts),
        h("div", { class: "grid halves" },
          h("div", {}, h("h3", {}, t("overview.now")), this.curve.element),
          h("div", {}, h("h3", {}, t("overview.days")), this.bars.element))),
      buttons: (done) => {
        this.close = () => done(false);
        return [
          button(t("proxies.show"), () => {
            done(false);
            go("connections", name);
          }, { image: "connections" }),
          button(t("proxies.close"), () => done(false), { kind: "primary", autofocus: true }),
        ];
      },
    }).then(() => {
      clearInterval(this.timer);
      closed();
    });
    this.show();
    this.load();
  }

  async load() {
    try {
      const [curve, traffic] = await Promise.all([
        get(`proxies/${part(this.name)}/curve`), get(`proxies/${part(this.name)}/traffic`),
      ]);
      this.curve.set(curve.curve, curve.curve_seconds);
      this.bars.set(traffic.days);
      // The stream says what changes only; the curve goes on meanwhile.
      this.timer = setInterval(() => {
        const rate = this.state.proxies.get(this.name)?.rate ?? { in: 0, out: 0 };
        this.curve.push([rate.in, rate.out]);
      }, curve.curve_seconds * 1000);
    } catch {
      // a toast says it
    }
  }

  show() {
    const row = this.state.proxies.get(this.name);
    if (!row) return;
    const { state, client, connections, now, today, total, started, closed, reason } = this.values;
    put(state, t(STATES[stateOf(row)][1]));
    put(client, row.client || NONE);
    put(connections, number(row.connections));
    put(now, t("common.traffic", { in: t("unit.rate", { size: bytes(row.rate?.in ?? 0) }), out: t("unit.rate", { size: bytes(row.rate?.out ?? 0) }) }));
    put(today, t("common.traffic", { in: bytes(row.today.in), out: bytes(row.today.out) }));
    put(total, t("common.traffic", { in: bytes(row.total.in), out: bytes(row.total.out) }));
    put(started, moment(row.started_at));
    put(closed, moment(row.closed_at));
    put(reason, row.closed_reason);
    show(this.rows.reason, row.closed_reason);
    const found = JSON.stringify(addresses(row));
    if (found !== this.found) {
      this.found = found;
      this.addresses.replaceChildren(...addresses(row).map(addressLine));
    }
  }
}
