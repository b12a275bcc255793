// One side of an exchange: the headers and the body of a request or a response.

import { attempt, withToken } from "../shared/api.js";
import { copyButton } from "../shared/copy.js";
import { attr, button, h, icon } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { t } from "../shared/i18n.js";
import { copyOf, mediaType, viewsOf } from "./bodies.js";
import { MASK, toLines } from "./headers.js";

// Whose headers somebody has folded away: they stay so for the next request.
const folded = new Set();

/**
 * A request's or a response's part of the details.
 *
 * @param which - "request" or "response".
 * @param detail - of the exchange.
 * @param secrets - `Secrets` of it.
 */
export function message(which, detail, secrets) {
  const side = detail[which];
  const title = t(which === "request" ? "detail.request" : "detail.response");
  const id = `${which}-title`;
  return h(
    "section",
    { class: "message", "aria-labelledby": id },
    h("h3", { id }, title),
    side ? [headers(which, side, secrets), body(which, detail, side.body)] : h("p", { class: "dim" }, t("detail.noResponse")),
  );
}

function headers(which, side, secrets) {
  if (!side.headers.length) return h("p", { class: "dim" }, t("detail.noHeaders"));
  const rows = side.headers.map(([name, value], at) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, secrets.cell(which, at, name, value))),
  );
  const all = copyButton(() => toLines(secrets.headers(which)), t("detail.theHeaders"));
  const summary = h("summary", {}, h("span", {}, t("detail.headers", { n: side.headers.length })));
  const fold = (event) => (event.target.open ? folded.delete(which) : folded.add(which));
  return h("details", { class: "fold", open: !folded.has(which), ontoggle: fold }, summary,
    h("div", { class: "fold-tools" }, all),
    h("table", { class: "pairs" }, h("tbody", {}, rows)));
}

function facts(content) {
  const said = [mediaType(content) || t("body.noType"), bytes(content.size)];
  if (content.encoding) said.push(t("body.decoded", { encoding: content.encoding }));
  return said.join(" · ");
}

/** A body, with buttons for the ways to look at it. */
function body(which, detail, content) {
  if (!content || !content.size) return h("p", { class: "dim" }, t("body.none"));
  const address = withToken(`requests/${detail.id}/body/${which}`);
  const place = h("div", { class: "body" });
  const views = viewsOf(content, address);
  const choices = views.map(([key, make]) => button(t(key), () => choose(key, make), { kind: "small", "data-view": key }));
  function choose(key, make) {
    for (const each of choices) attr(each, "aria-pressed", String(each.dataset.view === key));
    place.replaceChildren(make());
  }
  choose(...views[0]);
  const label = t(which === "request" ? "detail.requestBody" : "detail.responseBody");
  return h(
    "div",
    { class: "body-box", role: "group", "aria-label": label },
    h("div", { class: "body-tools" },
      h("span", { class: "body-facts" }, facts(content)),
      h("span", { class: "grow" }),
      views.length > 1 && h("div", { class: "choices" }, choices),
      copyButton(() => copyOf(content), label),
      h("a", { class: "button quiet icon-only", href: address, download: "", "aria-label": t("body.download"), title: t("body.download") },
        icon("download"))),
    content.truncated && h("p", { class: "notice" }, t("body.truncated", { kept: bytes(content.kept), size: bytes(content.size) })),
    place,
  );
}

/** What of an exchange is secret, and whether somebody wants to see it. */
export class Secrets {
  /**
   * Begin with all of them hidden.
   *
   * @param detail - as it is with secrets masked.
   * @param load - gives a promise of the detail with them.
   */
  constructor(detail, load) {
    this.detail = detail;
    this.load = load;
    this.clear = null;
    this.all = false;
    this.cells = [];
  }

  /** Whether there are any. */
  get any() {
    return JSON.stringify(this.detail).includes(MASK);
  }

  /** Get what there is to see. */
  async reveal() {
    this.clear ??= await this.load();
    return this.clear;
  }

  /** The headers as they are shown. */
  headers(which) {
    const shown = this.all ? this.clear : this.detail;
    return shown[which].headers;
  }

  /** What shows the value of a header. */
  cell(which, at, name, value) {
    if (!value.includes(MASK)) return value;
    const shown = h("span", { class: "secret" }, value);
    let open = false;
    const toggle = button(null, () => attempt(() => set(!open)), { kind: "quiet icon-only", image: "eye", label: t("secret.show", { name }), "aria-pressed": "false" });
    const set = async (wanted) => {
      shown.textContent = wanted ? (await this.reveal())[which].headers[at][1] : value;
      open = wanted;
      attr(toggle, "aria-pressed", String(open));
    };
    if (this.all) set(true);
    return [shown, " ", toggle];
  }
}
