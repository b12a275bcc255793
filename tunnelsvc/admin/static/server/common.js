// What the views have in common.

import { h, icon, put, show } from "../shared/dom.js";
import { bytes, rate } from "../shared/format.js";
import { t } from "../shared/i18n.js";
import { twoLines } from "../shared/table.js";

const TYPING_MS = 150;

/** The head of a view: its name, a count, and what stands at the side. */
export function head(title, ...side) {
  const count = h("span", { class: "dim" });
  const element = h("div", { class: "head" }, h("h1", { tabindex: "-1" }, title), count, h("div", { class: "head-side" }, side));
  return { element, count };
}

/** A field to search with; `changed(text)` is called in lower case, shortly after the last key. */
export function search(changed, label = t("common.search")) {
  let timer = null;
  const input = h("input", {
    type: "search", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false",
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => changed(input.value.trim().toLowerCase()), TYPING_MS);
    },
  });
  return { element: h("div", { class: "search" }, icon("search"), input), input };
}

let groups = 0;

/** One of several, as radio buttons: `choices` is `[[value, label], …]`. */
export function chips(label, choices, changed) {
  const name = `chips-${(groups += 1)}`;
  return h("fieldset", { class: "chips" }, h("legend", { class: "unseen" }, label), choices.map(([value, text], place) => h(
    "label", { class: "chip" },
    h("input", { type: "radio", name, value, checked: place === 0, onchange: () => changed(value) }),
    h("span", {}, text),
  )));
}

/** What stands where rows would. */
export function emptiness(image, title, text, ...more) {
  const strong = h("strong", {}, title);
  const line = h("p", {}, text);
  const element = h("div", { class: "empty" }, icon(image), strong, line, more);
  return {
    element,
    /** Say that nothing is there, or that nothing matches. */
    say(filtered) {
      put(strong, filtered ? t("common.nothing") : title);
      put(line, filtered ? t("common.nothing.text") : text);
      more.forEach((each) => show(each, !filtered));
    },
  };
}

/** A mark of a state, in a cell. */
export function mark(node, kind, text) {
  const wanted = `mark ${kind}`;
  if (node.className !== wanted) node.className = wanted;
  put(node, text);
}

/** In above out. */
export function inAndOut(cell, value, perSecond = false) {
  const shown = perSecond ? rate : bytes;
  twoLines(cell, t("proxies.in", { size: shown(value?.in ?? 0) }), t("proxies.out", { size: shown(value?.out ?? 0) }));
}

/** What a client is called. */
export function clientName(client) {
  const own = client.client_id || client.hostname || client.run_id;
  return [client.user, own].filter(Boolean).join(" · ") || client.address;
}

/** Where users reach a proxy: `[{ text, href | null }]`. The server doesn't know by which name the page's reader knows it. */
export function addresses(proxy) {
  const address = proxy.remote_addr ?? "";
  if (address.startsWith(":")) return [{ text: `${location.hostname}${address}`, href: null }];
  const links = (proxy.urls ?? []).map((url) => ({ text: url, href: safe(url) }));
  // What is no place to go to, like all names below one; an address comes once for each path.
  const others = [...new Set(address.split(","))].filter((each) => each && (!links.length || each.startsWith("*")));
  return [...links, ...others.map((text) => ({ text, href: null }))];
}

// A link never goes anywhere but to a web site, whatever a client named its domain.
function safe(url) {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol) ? url : null;
  } catch {
    return null;
  }
}

/** Whether one of the fields has the text. */
export function matches(text, ...fields) {
  return !text || fields.some((field) => String(field ?? "").toLowerCase().includes(text));
}
