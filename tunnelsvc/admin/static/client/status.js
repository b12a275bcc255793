// The view of how the client is: its connection to the server, its proxies and visitors.

import { post } from "../shared/api.js";
import { copyButton } from "../shared/copy.js";
import { attr, button, h, keyed, put, show } from "../shared/dom.js";
import { ago, moment } from "../shared/format.js";
import { has, t } from "../shared/i18n.js";
import { changes } from "./changes.js";
import { hintOf } from "./hints.js";

// Between two looks at the clock.
const CLOCK_MS = 5000;
const GOOD = ["running"];
const WAITING = ["new", "wait start"];

function phaseKind(phase) {
  if (GOOD.includes(phase)) return "good";
  return WAITING.includes(phase) ? "warn" : "bad";
}

function phaseText(phase) {
  const key = `phase.${phase.replace(" ", "_")}`;
  return has(key) ? t(key) : phase;
}

function trouble(each) {
  const hint = hintOf(each);
  return [each.error && h("p", { class: "trouble bad" }, each.error), hint && h("p", { class: "hint" }, h("strong", {}, t("status.todo")), " ", hint)];
}

function address(proxy) {
  if (!proxy.public) return h("span", { class: "dim" }, "–");
  const link = /^https?:\/\//.test(proxy.public)
    ? h("a", { href: proxy.public, target: "_blank", rel: "noopener noreferrer" }, proxy.public)
    : h("code", {}, proxy.public);
  return h("span", { class: "with-copy" }, link, copyButton(() => proxy.public, t("status.addressOf", { name: proxy.name })));
}

function paintProxy(node, proxy) {
  const kind = phaseKind(proxy.phase);
  const inspected = proxy.inspect && h("a", { class: "mark info", href: `#/inspector/${encodeURIComponent(`proxy=${proxy.name}`)}` }, t("status.inspected"));
  node.replaceChildren(
    h("div", { class: "item-main" },
      h("h3", { class: "item-name" }, proxy.name, " ", h("span", { class: "tag" }, proxy.type)),
      h("span", { class: `mark dot ${kind}` }, phaseText(proxy.phase)),
      h("div", { class: "item-where" },
        address(proxy),
        h("span", { class: "leads" },
          h("span", { "aria-hidden": "true" }, "→ "),
          h("span", { class: "unseen" }, t("status.leadsTo"), " "),
          h("code", {}, proxy.local))),
      inspected),
    ...trouble(proxy),
  );
}

function paintVisitor(node, visitor) {
  const kind = visitor.error ? "bad" : "good";
  node.replaceChildren(
    h("div", { class: "item-main" },
      h("h3", { class: "item-name" }, visitor.name, " ", h("span", { class: "tag" }, visitor.type)),
      h("span", { class: `mark dot ${kind}` }, t(visitor.error ? "status.visitorBad" : "status.visitorGood")),
      visitor.bind && h("div", { class: "item-where" }, h("code", {}, visitor.bind),
        copyButton(() => visitor.bind, t("status.addressOf", { name: visitor.name })))),
    ...trouble(visitor),
  );
}

export class Status {
  /** Make the view. */
  constructor() {
    this.value = null;
    this.known = new Map();
    this.lists = new Map();
    this.state = h("p", { class: "connection-state", role: "status" });
    this.facts = h("dl", { class: "facts apart status-facts" });
    this.trouble = h("div", {});
    this.result = h("div", { class: "result", role: "status" });
    this.reloadButton = button(t("status.reload"), () => this.reload(), { image: "reload" });
    this.panel = h(
      "div",
      { class: "status" },
      h("section", { class: "card connection", "aria-labelledby": "connection-title" },
        h("div", { class: "card-head" }, h("h2", { id: "connection-title" }, t("status.connection")), this.reloadButton),
        this.state, this.trouble, this.facts, this.result),
      this.section("proxies", t("status.proxies"), t("status.noProxies")),
      this.section("visitors", t("status.visitors"), ""),
    );
    setInterval(() => this.paintSince(), CLOCK_MS);
  }

  section(id, title, none) {
    const list = h("ul", { class: "items" });
    const count = h("span", { class: "count dim" });
    const empty = h("p", { class: "dim" }, none, " ", h("a", { href: "#/config" }, t("intro.config")));
    const section = h("section", { class: "card", "aria-labelledby": `${id}-title` },
      h("div", { class: "card-head" }, h("h2", { id: `${id}-title` }, title, " ", count)), list, empty);
    this.lists.set(id, { list, count, empty, section });
    return section;
  }

  /** The status is another one. */
  took(message) {
    this.value = { ...this.value, ...message.value };
    const { value } = this;
    put(this.state, t(value.connected ? "status.connected" : "status.notConnected", { server: value.server }));
    attr(this.state, "class", `connection-state mark dot ${value.connected ? "good" : "bad"}`);
    this.trouble.replaceChildren(...trouble(value).filter(Boolean));
    this.paintSince();
    show(this.reloadButton, value.config.path);
    this.paintList("proxies", value.proxies, paintProxy);
    this.paintList("visitors", value.visitors, paintVisitor);
    show(this.lists.get("visitors").section, value.visitors.length);
  }

  paintSince() {
    const { value } = this;
    if (!value) return;
    const facts = [
      [t("status.since"), value.since ? ago(value.since) : "–", value.since ? moment(value.since) : null],
      [t("status.run"), value.run_id || "–"],
      [t("status.file"), value.config.path || "–"],
      [t("status.version"), value.version],
    ];
    if (!this.facts.firstChild) {
      this.facts.append(...facts.map(([name]) => h("div", { class: "fact" }, h("dt", {}, name), h("dd", {}))));
    }
    facts.forEach(([, shown, title], at) => {
      const cell = this.facts.children[at].lastChild;
      put(cell, shown);
      attr(cell, "title", title);
    });
  }

  paintList(id, rows, paint) {
    const { list, count, empty } = this.lists.get(id);
    // A row that is the same is the same object, so that it isn't painted again.
    const kept = rows.map((row) => {
      const key = `${id}/${row.name}`;
      const text = JSON.stringify(row);
      const known = this.known.get(key);
      if (known?.text === text) return known.row;
      this.known.set(key, { text, row });
      return row;
    });
    keyed(list, kept, (row) => row.name, () => h("li", { class: "item" }), paint);
    const good = rows.filter((row) => (row.phase ? phaseKind(row.phase) === "good" : !row.error)).length;
    put(count, rows.length ? t("status.good", { n: good, all: rows.length }) : "");
    show(empty, !rows.length);
  }

  async reload() {
    attr(this.reloadButton, "aria-busy", "true");
    try {
      const done = await post("reload", {}, { quiet: true });
      this.say("good", t("status.reloaded"), changes(done));
    } catch (why) {
      this.say("bad", t("status.notReloaded"), why.message.split("\n").map((line) => h("p", { class: "problem" }, line)));
    }
    attr(this.reloadButton, "aria-busy", null);
  }

  say(kind, title, content) {
    const close = button(null, () => this.result.replaceChildren(), { kind: "quiet icon-only", image: "close", label: t("toast.close") });
    this.result.replaceChildren(h("div", { class: `notice ${kind}` }, h("div", { class: "card-head" }, h("strong", {}, title), close), content));
  }
}
