// What a changed file changes, as a check or a reload says it.

import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";

const KINDS = [["added", "good"], ["removed", "bad"], ["changed", "info"]];

/**
 * Nodes that say it.
 *
 * @param found - `{ changes: { added, removed, changed }, remarks, warnings }`.
 */
export function changes(found) {
  const lists = KINDS.filter(([kind]) => found.changes[kind].length).map(([kind, tone]) =>
    h("li", {}, h("strong", {}, t(`changes.${kind}`)), " ", found.changes[kind].map((name) => [h("span", { class: `mark ${tone}` }, name), " "])),
  );
  return [
    lists.length ? h("ul", { class: "changes" }, lists) : h("p", { class: "dim" }, t("changes.none")),
    part(t("changes.remarks"), found.remarks),
    part(t("changes.warnings"), found.warnings),
  ];
}

function part(title, lines) {
  if (!lines?.length) return null;
  return h("div", { class: "remarks" }, h("strong", {}, title), h("ul", {}, lines.map((line) => h("li", {}, line))));
}
