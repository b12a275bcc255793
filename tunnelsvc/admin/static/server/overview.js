// The first view: how the server is.

import { Bars, Curve } from "../shared/chart.js";
import { get } from "../shared/api.js";
import { attr, h, keyed, put, show } from "../shared/dom.js";
import { ago, bytes, duration, moment } from "../shared/format.js";
import { compare, date, has, number, t } from "../shared/i18n.js";
import { head, mark } from "./common.js";
import { kindClass, kindText, subject } from "./eventrows.js";

const LATEST = 7;
const STARTED = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
const PORT = "overview.port.";

function stat(key) {
  const value = h("span");
  const more = h("span", { class: "more" });
  return { element: h("div", { class: "stat" }, h("dt", {}, t(key)), h("dd", {}, value, more)), value, more };
}

export class Overview {
  id = "overview";
  image = "overview";
  topics = ["events"];

  constructor(state) {
    this.state = state;
    this.curve = new Curve();
    this.bars = new Bars();
    this.stats = {};
    for (const name of ["clients", "proxies", "connections", "today", "total", "uptime"]) {
      this.stats[name] = stat(`overview.${name}`);
    }
    this.types = h("div");
    this.noTypes = h("p", { class: "dim" }, t("overview.types.none"));
    this.facts = h("dl", { class: "facts" });
    this.feed = h("ol", { class: "feed" });
    this.noFeed = h("p", { class: "dim" }, t("overview.latest.none"));
    this.panel = h("section", {},
      head(t("view.overview")).element,
      h("dl", { class: "stats" }, Object.values(this.stats).map((each) => each.element)),
      h("div", { class: "grid halves" },
        this.card("overview.now", "overview.now.sub", this.curve.element),
        this.card("overview.days", "overview.days.sub", this.bars.element)),
      h("div", { class: "grid thirds" },
        this.card("overview.types", null, this.types, this.noTypes),
        this.card("overview.server", null, this.facts),
        this.card("overview.latest", null, this.feed, this.noFeed, h("p", {}, h("a", { href: "#/events" }, t("overview.latest.all"))))));
  }

  card(title, sub, ...content) {
    return h("section", { class: "card" },
      h("div", { class: "card-head" }, h("h2", {}, t(title)), sub && h("span", { class: "dim" }, t(sub))), content);
  }

  enter() {
    if (this.state.overview) this.update("overview", { value: { curve: this.state.points } });
    this.showFeed();
    this.loadDays();
  }

  async loadDays() {
    try {
      this.days = (await get("traffic?days=30", { quiet: true })).days;
    } catch {
      return; // the banner says it
    }
    this.loaded = true;
    this.bars.set(this.days);
  }

  update(topic, message) {
    if (topic === "events") this.showFeed();
    const value = this.state.overview;
    if (topic !== "overview" || !value) return;
    this.showStats(value);
    this.showTypes(value.proxies);
    this.showFacts(value);
    this.showToday(value.today);
    if (message.value.point) this.curve.push(message.value.point);
    else if (message.value.curve) this.curve.set(this.state.points, value.curve_seconds);
  }

  showStats(value) {
    const { clients, proxies, connections, today, total, uptime } = this.stats;
    const sums = Object.values(value.proxies).reduce((sum, each) => ({ online: sum.online + each.online, known: sum.known + each.known }), { online: 0, known: 0 });
    put(clients.value, number(value.clients.online));
    put(clients.more, t("common.known", { n: value.clients.known }));
    put(proxies.value, number(sums.online));
    put(proxies.more, t("common.known", { n: sums.known }));
    put(connections.value, number(value.connections));
    for (const [node, size] of [[today, value.today], [total, value.total]]) {
      put(node.value, bytes(size.in + size.out));
      put(node.more, t("common.traffic", { in: bytes(size.in), out: bytes(size.out) }));
    }
    put(uptime.value, duration(value.now - value.started_at));
    put(uptime.more, t("overview.since", { time: date(value.started_at, STARTED) }));
  }

  showTypes(proxies) {
    const rows = Object.entries(proxies).map(([type, counts]) => ({ type, ...counts })).filter((each) => each.known)
      .sort((a, b) => compare(a.type, b.type));
    keyed(this.types, rows, (row) => row.type, (row) => h("div", { class: "type-row" },
      h("span", { class: "mono" }, row.type), h("div", { class: "meter", "aria-hidden": "true" }, h("span")), h("span", { class: "number" })),
    (node, row) => {
      node.children[1].firstChild.style.width = `${(row.online / Math.max(1, row.known)) * 100}%`;
      put(node.children[2], t("overview.type", row));
    });
    show(this.noTypes, !rows.length);
  }

  showFacts(value) {
    const ports = Object.entries(value.ports).filter(([, port]) => port);
    const { cpu_percent: cpu, memory_bytes: memory, open_files: files } = value.process;
    const facts = [
      ["overview.version", value.version],
      ["overview.cpu", cpu === null ? null : number(cpu / 100, { style: "percent", maximumFractionDigits: 1, minimumFractionDigits: 1 })],
      ["overview.memory", memory && bytes(memory)],
      ["overview.files", files && number(files)],
      ...ports.map(([name, port]) => [PORT + name, String(port)]),
      ["overview.subdomain", value.subdomain_host],
      ["overview.history", t(value.history ? "overview.history.on" : "overview.history.off")],
    ].filter(([, shown]) => shown);
    keyed(this.facts, facts.map(([key, shown]) => ({ key, shown, label: has(key) ? t(key) : key.slice(PORT.length) })), (each) => each.key,
      (each) => h("div", { class: "fact" }, h("dt", {}, each.label), h("dd")),
      (node, each) => put(node.children[1], each.shown));
  }

  // The day's bar grows with what the stream says; when the sums begin anew, it's another day.
  showToday(today) {
    const last = this.days?.at(-1);
    if (!last) return;
    if (today.in < last.in || today.out < last.out) {
      if (this.loaded) {
        this.loaded = false;
        this.loadDays();
      }
      return;
    }
    if (today.in === last.in && today.out === last.out) return;
    this.days = [...this.days.slice(0, -1), { ...last, in: today.in, out: today.out }];
    this.bars.set(this.days);
  }

  showFeed() {
    const rows = this.state.events.slice(0, LATEST);
    keyed(this.feed, rows, (row) => row.id, () => h("li", {}, h("span"), h("span", { class: "what" }), h("time")), (node, row) => {
      mark(node.children[0], kindClass(row), kindText(row));
      put(node.children[1], subject(row)[0] || row.detail);
      attr(node.children[2], "title", moment(row.at));
      attr(node.children[2], "datetime", new Date(row.at * 1000).toISOString());
      put(node.children[2], ago(row.at));
    });
    show(this.noFeed, !rows.length);
  }

  tick() {
    [...this.feed.children].forEach((node, place) => {
      const row = this.state.events[place];
      if (row) put(node.children[2], ago(row.at));
    });
  }
}
