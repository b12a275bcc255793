// A replay beside the original.

import { h } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { t } from "../shared/i18n.js";
import { copyOf, mediaType } from "./bodies.js";
import { compare } from "./diff.js";
import { value } from "./headers.js";
import { tone } from "./rows.js";
import { span } from "./timing.js";

/**
 * The section that shows what became of a replay.
 *
 * @param original - details of the request that was replayed; null: it isn't kept any more.
 * @param detail - of the replay.
 */
export function comparison(original, detail) {
  const id = "compare-title";
  const link = h("a", { href: `#/inspector/${detail.replay_of}` }, `#${detail.replay_of}`);
  const title = h("h3", { id }, t("compare.title"), " ", link);
  if (!original) return h("section", { class: "compare" }, title, h("p", { class: "dim" }, t("compare.gone")));
  return h("section", { class: "compare", "aria-labelledby": id }, title, table(original, detail), contents(original, detail));
}

function said(exchange) {
  const { response } = exchange;
  return [
    [t("detail.line"), `${exchange.method} ${exchange.path}`],
    [t("detail.status"), exchange.status ? String(exchange.status) : exchange.error || "…", tone(exchange)],
    [t("detail.time"), span(exchange.ms)],
    [t("detail.type"), response?.body ? mediaType(response.body) || value(response.headers, "content-type") : ""],
    [t("detail.size"), bytes(response?.body?.size ?? 0)],
  ];
}

// Times differ anyhow: only what says that the answer is another one is marked.
const MARKED = [0, 1, 3, 4];

function table(original, detail) {
  const before = said(original);
  const rows = said(detail).map(([name, now, kind], at) => {
    const other = MARKED.includes(at) && before[at][1] !== now;
    return h("tr", { class: other ? "differs" : null }, h("th", { scope: "row" }, name),
      h("td", {}, h("span", { class: before[at][2] }, before[at][1])),
      h("td", {}, h("span", { class: kind }, now), other && h("span", { class: "unseen" }, ` (${t("compare.differs")})`)));
  });
  return h("div", { class: "scroll" }, h("table", { class: "compare-facts" },
    h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, t("compare.original")), h("th", { scope: "col" }, t("compare.replay")))),
    h("tbody", {}, rows)));
}

function contents(original, detail) {
  const [old, now] = [original.response?.body, detail.response?.body];
  if (!old?.size && !now?.size) return null;
  const [before, after] = [old, now].map((body) => (body?.size ? copyOf(body) : ""));
  if (before === after) return h("p", { class: "good" }, t("compare.same"));
  const columns = compare(before, after);
  const names = [t("compare.original"), t("compare.replay")];
  return h("div", { class: "compare-bodies" }, columns.map((lines, at) =>
    h("figure", {}, h("figcaption", {}, names[at]),
      h("pre", { class: "body-text", tabindex: "0" }, lines.map((line) =>
        h("div", { class: line.changed ? (at ? "line-add" : "line-remove") : null }, line.text || " "))))));
}
