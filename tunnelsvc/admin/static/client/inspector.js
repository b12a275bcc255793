// The view of requests: filters, the list, and beside it the details of one.

import { attempt, del, get } from "../shared/api.js";
import { codeBlock } from "../shared/copy.js";
import { confirm, open } from "../shared/dialog.js";
import { button, h, icon, put, show } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { Rows } from "../shared/live.js";
import { Detail, harAddress } from "./detail.js";
import { RequestList } from "./list.js";
import { filtered, newestFirst, values } from "./rows.js";

const STATUSES = ["2xx", "3xx", "4xx", "5xx", "1xx", "error"];
// From the last key to the question to the client, which looks into headers and bodies, too; and
// between two of those while requests go on arriving.
const TYPING_MS = 200;
const SEARCH_MS = 1000;
// Requests that the client keeps.
const MOST = 500;

function select(label, onchange) {
  return h("select", { "aria-label": label, title: label, onchange });
}

// Make the options of a choice those of some values, "" first; the chosen one stays.
function choose(field, any, names) {
  const wanted = names.map(([value]) => value).join("\n");
  if (field.dataset.names === wanted && field.options.length) return;
  field.dataset.names = wanted;
  const { value } = field;
  field.replaceChildren(h("option", { value: "" }, any), ...names.map(([each, name]) => h("option", { value: each }, name)));
  field.value = names.some(([each]) => each === value) ? value : "";
}

export class Inspector {
  /** Make the view; `go(argument)` changes the address: the id of what is shown, or null. */
  constructor(go) {
    this.go = go;
    this.rows = new Rows("id");
    this.all = [];
    this.shown = null;
    this.marked = new Set();
    this.found = new Set();
    this.status = null;
    this.asked = null;
    this.list = new RequestList({
      show: (id) => go(String(id)),
      mark: (id) => this.mark(id),
      enter: () => this.detail.element.focus(),
    });
    this.detail = new Detail({
      go: (id) => go(id === null ? null : String(id)),
      mark: (id) => this.mark(id),
      isMarked: (id) => this.marked.has(id),
    });
    this.panel = h("div", { class: "inspector" }, this.tools(), this.intro(), this.panes());
  }

  tools() {
    const changed = () => this.paint();
    this.search = h("input", {
      type: "search", placeholder: t("inspector.search"), "aria-label": t("inspector.search"),
      spellcheck: "false", autocomplete: "off", oninput: () => this.typed(),
    });
    this.method = select(t("inspector.method"), changed);
    this.statusClass = select(t("inspector.status"), changed);
    this.proxy = select(t("inspector.proxy"), changed);
    choose(this.statusClass, t("inspector.anyStatus"), STATUSES.map((each) => [each, each === "error" ? t("inspector.errors") : each]));
    this.count = h("span", { class: "dim count", role: "status" });
    this.unmark = button(t("inspector.unmark"), () => this.mark(null), { kind: "small" });
    this.har = button(t("inspector.har"), () => this.export(), { kind: "small", image: "download" });
    this.clear = button(t("inspector.clear"), () => this.empty(), { kind: "small", image: "trash" });
    this.toolbar = h(
      "div",
      { class: "toolbar inspector-tools", role: "search" },
      h("div", { class: "search" }, icon("search"), this.search),
      this.method, this.statusClass, this.proxy,
      this.count,
      h("span", { class: "grow" }),
      this.unmark, this.har, this.clear,
    );
    return this.toolbar;
  }

  panes() {
    this.none = h("p", { class: "empty" }, t("inspector.noMatch"));
    this.box = h("div", { class: "panes" },
      h("div", { class: "list-pane" },
        h("p", { id: "list-keys", class: "unseen" }, t("list.keys")),
        this.list.element, this.none),
      this.detail.element);
    return this.box;
  }

  intro() {
    this.introText = h("div", { class: "card intro" });
    return this.introText;
  }

  /** The status of the client has changed: it says what is inspected. */
  statusIs(status) {
    this.status = status;
    this.paint();
  }

  /** Requests have come, or changed, or are gone. */
  took(message) {
    this.rows.take(message);
    if (message.rows) {
      this.marked.clear();
      if (message.more) this.loadMore(message.rows);
    }
    for (const id of message.gone ?? []) this.marked.delete(id);
    this.all = newestFirst(this.rows.all);
    if (this.search.value) this.look(SEARCH_MS);
    this.schedule();
  }

  // The stream may begin with fewer than there are.
  async loadMore(rows) {
    const before = Math.min(...rows.map((row) => row.id));
    const older = await get(`requests?before=${before}&limit=${MOST}`, { quiet: true }).catch(() => ({ rows: [] }));
    this.took({ changed: older.rows.filter((row) => !this.rows.get(row.id)) });
  }

  /** The address has changed: show a request, or (null) none. */
  enter(argument) {
    if (argument?.startsWith("proxy=")) {
      this.proxy.value = argument.slice(6);
      this.go(null);
      return;
    }
    const id = /^\d+$/.test(argument ?? "") ? Number(argument) : null;
    const focused = this.box.classList.contains("has-detail");
    this.shown = id;
    this.paint();
    if (focused && id === null) this.list.element.focus();
  }

  typed() {
    if (this.search.value) this.look(TYPING_MS);
    else this.found = new Set();
    this.paint();
  }

  // Ask the client which requests have the text in their headers and bodies.
  look(pause) {
    if (this.looking && pause === SEARCH_MS) return;
    clearTimeout(this.looking);
    this.looking = setTimeout(async () => {
      this.looking = null;
      this.asked?.abort();
      this.asked = new AbortController();
      try {
        this.found = await this.ask(this.search.value.trim(), this.asked.signal);
        this.paint();
      } catch {
        // A newer question is on its way, or the client is gone, which the page says already.
      }
    }, pause);
  }

  // The client looks through so much at a time, and says where it has stopped.
  async ask(text, signal) {
    const found = new Set();
    for (let before = null; text && before !== undefined; ) {
      const from = before === null ? "" : `&before=${before}`;
      const answer = await get(`requests?limit=${MOST}&text=${encodeURIComponent(text)}${from}`, { quiet: true, signal });
      for (const row of answer.rows) found.add(row.id);
      before = answer.before ?? undefined;
    }
    return found;
  }

  mark(id) {
    if (id === null) this.marked.clear();
    else if (!this.marked.delete(id)) this.marked.add(id);
    this.detail.marked();
    this.paint();
  }

  // Many requests in one moment are shown at once.
  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  get filter() {
    return { text: this.search.value.trim(), method: this.method.value, status: this.statusClass.value, proxy: this.proxy.value };
  }

  paint() {
    const names = (field) => values(this.all, field).map((value) => [value, value]);
    choose(this.method, t("inspector.anyMethod"), names("method"));
    choose(this.proxy, t("inspector.anyProxy"), this.proxyNames().map((name) => [name, name]));
    show(this.proxy, this.proxy.options.length > 2);
    const rows = filtered(this.all, this.filter, this.found);
    this.list.set(rows, this.shown, this.marked);
    this.paintTools(rows);
    this.box.classList.toggle("has-detail", this.shown !== null);
    const row = this.rows.get(this.shown);
    this.detail.show(this.shown, row);
    const idle = this.rows.known && !this.all.length;
    show(this.introText, idle && this.shown === null);
    show(this.toolbar, !idle);
    show(this.box, !idle || this.shown !== null);
    if (idle) this.paintIntro();
    show(this.none, this.all.length && !rows.length);
  }

  proxyNames() {
    const inspected = (this.status?.proxies ?? []).filter((proxy) => proxy.inspect).map((proxy) => proxy.name);
    return [...new Set([...values(this.all, "proxy"), ...inspected])].sort();
  }

  paintTools(rows) {
    const all = this.all.length;
    put(this.count, rows.length === all ? t("inspector.count", { n: all }) : t("inspector.countOf", { n: rows.length, all }));
    const marked = this.marked.size;
    this.exported = marked ? [...this.marked] : rows.length === all ? [] : rows.map((row) => row.id);
    this.har.disabled = !rows.length && !marked;
    put(this.har.lastChild, marked ? t("inspector.harMarked", { n: marked }) : t("inspector.har"));
    show(this.unmark, marked);
  }

  paintIntro() {
    const proxies = this.status?.proxies ?? [];
    const inspected = proxies.filter((proxy) => proxy.inspect);
    const key = JSON.stringify([this.status !== null, proxies.map((proxy) => [proxy.name, proxy.type, proxy.inspect, proxy.public])]);
    if (this.introText.dataset.key === key) return;
    this.introText.dataset.key = key;
    this.introText.replaceChildren(...(inspected.length ? waiting(inspected) : howTo(proxies)));
  }

  // A file is given away more easily than a page is: what is in it is said before.
  export() {
    const ids = this.exported;
    const link = (done, text, reveal, more) =>
      h("a", { href: harAddress(ids, reveal), download: "tunnelsvc.har", onclick: () => done(true), ...more }, text);
    return open({
      title: this.har.textContent,
      content: [h("p", {}, t("inspector.harText"))],
      buttons: (done) => [
        button(t("dialog.cancel"), () => done(false)),
        link(done, t("inspector.harReveal"), true, { class: "button" }),
        link(done, t("inspector.harMask"), false, { class: "button primary", autofocus: true }),
      ],
      fallback: () => this.search,
    });
  }

  async empty() {
    const agreed = await confirm({ title: t("inspector.clearTitle"), text: t("inspector.clearText"), action: t("inspector.clear"), danger: true, fallback: () => this.search });
    if (agreed && (await attempt(() => del("requests")))) this.go(null);
  }
}

function waiting(inspected) {
  const links = inspected.map((proxy) =>
    h("li", {}, h("strong", {}, proxy.name), " ",
      /^https?:/.test(proxy.public) ? h("a", { href: proxy.public, target: "_blank", rel: "noopener" }, proxy.public) : proxy.public));
  return [h("h2", {}, t("intro.waiting")), h("p", {}, t("intro.waitingText")), h("ul", {}, links)];
}

function howTo(proxies) {
  const name = proxies.find((proxy) => proxy.type === "http")?.name ?? "web";
  const lines = ["[" + name + "]", "type = http", "local_port = 8888", "inspect = true"].join("\n");
  return [
    h("h2", {}, t("intro.title")),
    h("p", {}, t("intro.text")),
    h("p", {}, t("intro.file")),
    codeBlock(() => lines, t("intro.lines")),
    h("p", {}, h("a", { href: "#/config" }, t("intro.config"))),
    h("p", {}, t("intro.command")),
    codeBlock(() => "tunnelsvc http 8888", t("intro.theCommand")),
    h("p", { class: "dim" }, t("intro.private")),
  ];
}
