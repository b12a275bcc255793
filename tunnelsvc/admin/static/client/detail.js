// What is known of one request: beside the list, or in its place where there is little room.

import { ApiError, attempt, get, withToken } from "../shared/api.js";
import { copy, copyButton } from "../shared/copy.js";
import { attr, button, h, icon } from "../shared/dom.js";
import { bytes, clock, moment } from "../shared/format.js";
import { t } from "../shared/i18n.js";
import { toast } from "../shared/toast.js";
import { comparison } from "./compare.js";
import { MASK } from "./headers.js";
import { Secrets, message } from "./message.js";
import { replay, replayForm } from "./replay.js";
import { ended, tone } from "./rows.js";
import { span } from "./timing.js";

// Somebody who holds an arrow key down passes by what he doesn't want to see.
const PAUSE_MS = 60;

export class Detail {
  /**
   * Make the pane; `element` is to be put somewhere.
   *
   * @param actions - `go(id)`: show another request, null: none; `mark(id)`; `isMarked(id)`.
   */
  constructor(actions) {
    this.actions = actions;
    this.id = null;
    this.row = null;
    this.asked = null;
    this.editing = false;
    this.element = h("section", { class: "detail", tabindex: "-1", "aria-label": t("detail.label") });
    this.empty();
  }

  empty() {
    this.element.replaceChildren(h("div", { class: "empty" },
      icon("search"), h("strong", {}, t("detail.choose")), h("p", {}, t("detail.keys"))));
  }

  /** Show a request; null: none. `row` is what the list knows of it, if it does. */
  show(id, row) {
    if (id === this.id) {
      if (row && this.row !== row) this.update(row);
      return;
    }
    this.stop();
    this.id = id;
    this.row = row ?? null;
    if (id === null) this.empty();
    else this.timer = setTimeout(() => this.load(), PAUSE_MS);
  }

  /** Something has changed about the request that is shown. */
  update(row) {
    const was = this.row;
    this.row = row;
    // While its body still comes in there is nothing to see that the list doesn't show.
    if (!was || ended(row) !== ended(was) || row.status !== was.status || row.kind === "websocket") {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.load(), PAUSE_MS);
    }
  }

  /** Whether the request is marked has changed. */
  marked() {
    const pressed = this.element.querySelector("[data-mark]");
    if (pressed) attr(pressed, "aria-pressed", String(this.actions.isMarked(this.id)));
  }

  stop() {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.editing = false;
  }

  async load() {
    this.asked?.abort();
    const asked = (this.asked = new AbortController());
    const options = { quiet: true, signal: asked.signal };
    try {
      const detail = await get(`requests/${this.id}`, options);
      const original = detail.replay_of ? await get(`requests/${detail.replay_of}`, options).catch(() => null) : null;
      if (!asked.signal.aborted) this.took(detail, original);
    } catch (why) {
      if (asked.signal.aborted) return;
      const gone = why instanceof ApiError && why.status === 404;
      this.element.replaceChildren(this.back(), h("p", { class: "empty" }, gone ? t("detail.gone") : why.message));
    }
  }

  took(detail, original) {
    // Somebody is writing: what he does it with stays.
    if (this.editing) return;
    const clear = this.filled === detail.id && this.secrets?.all;
    this.secrets = new Secrets(detail, () => get(`requests/${detail.id}?reveal=1`));
    this.original = original;
    // Who looks at the secrets of a request goes on doing so when it has ended.
    if (clear) attempt(() => this.reveal());
    else this.fill(detail);
  }

  back() {
    return button(t("detail.back"), () => this.actions.go(null), { kind: "small back", image: "up" });
  }

  fill(detail) {
    const scroll = this.filled === detail.id ? this.element.scrollTop : 0;
    const active = document.activeElement;
    const held = active !== this.element && this.element.contains(active) ? active.textContent : null;
    this.filled = detail.id;
    // A form that somebody is filling in stays as it is.
    if (!this.editing) this.form = h("div", {});
    this.element.replaceChildren(
      ...[
        this.back(),
        this.head(detail),
        this.buttons(detail),
        this.form,
        detail.error && h("p", { class: "notice bad" }, detail.error),
        detail.replay_of && comparison(this.original, detail),
        detail.websocket && h("p", { class: "notice info" }, t("detail.websocket", detail.websocket)),
        h("div", { class: "messages" }, message("request", detail, this.secrets), message("response", detail, this.secrets)),
      ].filter(Boolean),
    );
    this.element.scrollTop = scroll;
    if (held !== null) this.focusOn(held);
  }

  // Whoever uses the keys goes on where he was, with the same button of what is shown now.
  focusOn(text) {
    const same = [...this.element.querySelectorAll("button")].find((each) => each.textContent === text);
    (same ?? this.element).focus({ preventScroll: true });
  }

  head(detail) {
    const status = detail.status ? String(detail.status) : detail.error ? t("list.failed") : t("detail.waiting");
    const fact = (name, shown) => h("div", {}, h("dt", {}, name), h("dd", {}, shown));
    return h(
      "header",
      { class: "detail-head" },
      h("h2", {}, h("span", { class: "request-method" }, detail.method), " ", h("span", { class: "detail-url" }, detail.url),
        copyButton(() => detail.url, t("detail.theUrl"))),
      h("dl", { class: "detail-facts" },
        fact(t("detail.status"), h("span", { class: `status ${tone(detail)}` }, status)),
        fact(t("detail.time"), detail.done ? span(detail.ms) : t("detail.waiting")),
        fact(t("detail.sizes"), t("detail.inOut", { in: bytes(detail.in), out: bytes(detail.out) })),
        fact(t("detail.at"), h("span", { title: moment(detail.at) }, clock(detail.at))),
        fact(t("detail.user"), detail.user || "–"),
        fact(t("detail.proxy"), detail.proxy)),
    );
  }

  buttons(detail) {
    const edit = button(t("replay.edit"), () => this.edit(detail), { kind: "small", image: "edit", "aria-expanded": String(this.editing) });
    this.editButton = edit;
    const canReplay = detail.kind !== "websocket";
    return h(
      "div",
      { class: "detail-buttons" },
      canReplay && button(t("replay.replay"), () => attempt(() => this.replay(detail)), { kind: "small primary", image: "reload" }),
      canReplay && edit,
      button(t("detail.curl"), () => attempt(() => this.curl(detail)), { kind: "small", image: "copy" }),
      button(t("detail.mark"), () => this.actions.mark(detail.id),
        { kind: "small", image: "check", "data-mark": "", "aria-pressed": String(this.actions.isMarked(detail.id)) }),
      (this.secrets.any || this.secrets.all) && button(t(this.secrets.all ? "secret.hideAll" : "secret.showAll"), () => attempt(() => this.toggle()),
        { kind: "small", image: "eye", "aria-pressed": String(this.secrets.all), "data-reveal": "" }),
    );
  }

  async replay(detail) {
    this.actions.go(await replay(detail.id));
  }

  edit(detail) {
    const close = (id) => {
      this.editing = false;
      this.form.replaceChildren();
      attr(this.editButton, "aria-expanded", "false");
      if (id !== null) {
        this.element.focus({ preventScroll: true });
        this.actions.go(id);
      } else {
        this.editButton.focus();
      }
    };
    if (this.editing) {
      close(null);
      return;
    }
    this.editing = true;
    attr(this.editButton, "aria-expanded", "true");
    this.form.replaceChildren(replayForm(detail, close));
    this.form.querySelector("#replay-path").focus();
  }

  async curl(detail) {
    const reveal = this.secrets.all ? "?reveal=1" : "";
    const command = await get(`requests/${detail.id}/curl${reveal}`, { text: true });
    if (!(await copy(command))) toast(t("copy.failed"), "bad");
    else toast(command.includes(MASK) ? t("detail.curlMasked") : t("copy.done"), "good");
  }

  async toggle() {
    await this.reveal();
    this.element.querySelector("[data-reveal]")?.focus();
  }

  async reveal() {
    const secrets = this.secrets;
    const clear = await secrets.reveal();
    if (secrets !== this.secrets) {
      // Loaded anew meanwhile, if it isn't another request by now.
      if (secrets.detail.id === this.secrets.detail.id) await this.reveal();
      return;
    }
    secrets.all = !secrets.all;
    this.fill(secrets.all ? { ...clear } : secrets.detail);
  }
}

/** The address of a HAR file with some requests in it; all, if there are none. */
export function harAddress(ids, reveal) {
  const found = withToken("requests.har");
  if (ids.length) found.searchParams.set("ids", ids.join());
  if (reveal) found.searchParams.set("reveal", "1");
  return found;
}
