// What a changed file changes, as a check or a reload says it.

import { h } from "../shared/dom.js";
import { t } from "../shared/i18n.js";

const KINDS = [["added", "good"], ["removed", "bad"], ["changed", "info"]];

// A reload says of both kinds what it took away and what it put in the place.
function ofReload({ proxies, visitors }) {
  const all = (part) => [...proxies[part], ...visitors[part]];
  const [added, removed] = [all("added"), all("removed")];
  return {
    added: added.filter((name) => !removed.includes(name)),
    removed: removed.filter((name) => !added.includes(name)),
    changed: added.filter((name) => removed.includes(name)),
  };
}

/** Nodes that say what a check (`{ changes, remarks, warnings }`) or a reload has found. */
export function changes(found) {
  const names = found.changes ?? ofReload(found);
  const lists = KINDS.filter(([kind]) => names[kind].length).map(([kind, tone]) =>
    h("li", {}, h("strong", {}, t(`changes.${kind}`)), " ", names[kind].map((name) => [h("span", { class: `mark ${tone}` }, name), " "])),
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
