// The stream of changes (server-sent events), and whether the server is there at all.

import { ApiError, session, withToken } from "./api.js";
import { h, put, show } from "./dom.js";
import { clock } from "./format.js";
import { t } from "./i18n.js";
import { openStream } from "./stream.js";
import { toast } from "./toast.js";

const FIRST_PAUSE_MS = 500;
const MOST_PAUSE_MS = 5000;
// A stream that is alive says something every 5 seconds; one whose peer vanished, or sleeps, never does.
const SILENCE_MS = 15000;
const LISTEN_MS = 3000;
// To be told that the server is gone is worth more than to wait for one that is slow.
const PATIENCE_MS = 5000;
// Pages that nobody sees need no stream.
const HIDDEN_MS = 15000;

const banner = h("div", { class: "banner", role: "status", "aria-live": "polite" });
const line = h("div", { class: "banner-text" });
show(line, false);
banner.append(line);
document.body.prepend(banner);

function showBanner(text, link = null) {
  if (text === null) {
    show(line, false);
    line.replaceChildren();
    return;
  }
  put(line, text);
  if (link) line.append(" ", link);
  show(line, true);
}

/** Rows by key, kept up to date by what a topic says. `all` is new objects where something changed. */
export class Rows {
  constructor(key) {
    this.key = key;
    this.map = new Map();
    this.known = false;
  }

  /** Take what came; see the topics of `/api/admin/stream`. */
  take({ rows, changed = [], gone = [] }) {
    if (rows) {
      this.map = new Map(rows.map((row) => [row[this.key], row]));
      this.known = true;
    }
    for (const key of gone) this.map.delete(key);
    for (const row of changed) {
      const key = row[this.key];
      this.map.set(key, { ...this.map.get(key), ...row });
    }
  }

  get all() {
    return [...this.map.values()];
  }

  get(key) {
    return this.map.get(key);
  }
}

class Live {
  constructor(topics, handlers) {
    this.topics = topics;
    this.handlers = handlers;
    this.source = null;
    this.retry = null;
    this.pause = FIRST_PAUSE_MS;
    this.goneSince = null;
    this.version = null;
    this.heard = performance.now();
    document.addEventListener("visibilitychange", () => this.seen());
    window.addEventListener("online", () => this.now());
    setInterval(() => this.listen(), LISTEN_MS);
    this.again();
  }

  /** Listen to other topics; those get a snapshot. */
  follow(topics) {
    if (topics.join() === this.topics.join()) return;
    this.topics = topics;
    if (this.source) this.open();
  }

  now() {
    if (this.retry === null) return;
    clearTimeout(this.retry);
    this.retry = null;
    this.again();
  }

  seen() {
    clearTimeout(this.hiding);
    if (document.hidden) this.hiding = setTimeout(() => this.close(), HIDDEN_MS);
    else if (!this.source && this.retry === null) this.again();
    else this.now();
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  open() {
    this.close();
    this.opened = false;
    this.heard = performance.now();
    this.source = openStream(withToken("stream").href, this.topics, {
      onopen: () => this.there(),
      onerror: () => this.lost(),
      onevent: (kind, data) => this.took(kind, data),
    });
  }

  took(kind, data) {
    this.heard = performance.now();
    if (kind === "alive") return;
    performance.mark("live:begin");
    const message = JSON.parse(data);
    this.handlers[message.topic]?.(message, kind);
    // What an update costs, for whoever measures; the browser keeps no more than the last few.
    performance.clearMeasures(`live:${message.topic}`);
    performance.measure(`live:${message.topic}`, "live:begin");
    performance.clearMarks("live:begin");
  }

  listen() {
    if (!this.source) return;
    this.source.stay();
    if (performance.now() - this.heard > SILENCE_MS) this.lost();
  }

  there() {
    this.opened = true;
    this.pause = FIRST_PAUSE_MS;
    showBanner(null);
    this.handlers.state?.("online");
    if (this.goneSince !== null) toast(t("live.back"), "good");
    this.goneSince = null;
  }

  lost() {
    this.close();
    // Leaving a page ends its stream, too.
    if (this.retry !== null || document.hidden) return;
    // It knew us a moment ago, and gave us no stream: there are as many as there may be.
    if (!this.opened) this.gone(t("live.full"));
    this.later();
  }

  later() {
    this.retry = setTimeout(() => {
      this.retry = null;
      this.again();
    }, this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(this.pause * 2, MOST_PAUSE_MS);
  }

  gone(text = null) {
    this.goneSince ??= Date.now() / 1000;
    showBanner(text ?? t("live.gone", { time: clock(this.goneSince) }));
    this.handlers.state?.("offline");
  }

  // A session first: it tells a server that is gone from one that wants a password, and the token
  // of a server that was started anew is another one.
  async again() {
    if (document.hidden) return;
    try {
      const found = await session(AbortSignal.timeout(PATIENCE_MS));
      if (this.version !== null && found.version !== this.version) location.reload();
      this.version = found.version;
      this.handlers.session?.(found);
      this.open();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        showBanner(error.message, h("a", { href: "" }, t("live.login")));
        return;
      }
      this.gone();
      this.later();
    }
  }
}

/**
 * Follow topics of `/api/admin/stream` for as long as the page is seen.
 *
 * @param topics - names.
 * @param handlers - for each topic a function `(message, kind)`, kind being "snapshot" or "delta";
 *   `state`, called with "online" or "offline"; and `session`, with what `GET session` answers.
 * @returns an object with `follow(topics)`.
 */
export function live(topics, handlers) {
  return new Live(topics, handlers);
}
