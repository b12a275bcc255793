// Bodies: as what they are, as text, or byte by byte. All of it is text to the page, never markup.

import { button, h } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { t } from "../shared/i18n.js";
import { parse, write } from "./json.js";

// Entries of a JSON tree that are shown at once; the rest opens when somebody wants it.
const OPEN_ENTRIES = 120;
// Entries of one node, or pairs of a form, that are shown at a time.
const PIECE = 1000;
// Bytes of a dump that are shown at once.
const DUMP_BYTES = 1024;
const DUMP_WIDTH = 16;
// Characters of a string in a tree.
const LONG_STRING = 2000;
// Types that show without being able to run anything.
const IMAGES = /^image\/(?:png|jpe?g|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)$/;

/** The media type of a body, without parameters. */
export function mediaType(body) {
  return (body.type || "").split(";")[0].trim().toLowerCase();
}

/** The ways to look at a body, the best first: `[[key of its name, function that gives a node]…]`. */
export function viewsOf(body, address) {
  const views = [];
  const type = mediaType(body);
  if (IMAGES.test(type)) views.push(["body.viewImage", () => image(address, type)]);
  if (body.text !== undefined) {
    const tree = /json/.test(type) || /^\s*[[{]/.test(body.text) ? parse(body.text) : null;
    if (tree?.entries) views.push(["body.viewJson", () => treeView(tree)]);
    if (type === "application/x-www-form-urlencoded") {
      views.push(["body.viewForm", () => form(body.text)]);
    }
    views.push(["body.viewText", () => plain(body.text)]);
  } else {
    views.push(["body.viewBytes", () => dump(fromBase64(body.base64 ?? ""))]);
  }
  return views;
}

/** What somebody who copies a body gets. */
export function copyOf(body) {
  if (body.text === undefined) return body.base64 ?? "";
  const tree = /json/.test(mediaType(body)) ? parse(body.text) : null;
  return tree && !body.truncated ? write(tree) : body.text;
}

/** Bytes of base64. */
function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// Nodes for some of `items`, and at the end of `box` a button for more: there may be half a million.
function addPiece(parent, box, items, make, from = 0) {
  const end = Math.min(items.length, from + PIECE);
  parent.append(...items.slice(from, end).map(make));
  if (end === items.length) return;
  const more = button(t("body.showMore", { n: items.length - end }), () => {
    more.remove();
    addPiece(parent, box, items, make, end);
  }, { kind: "small" });
  box.append(more);
}

function image(address, type) {
  const picture = h("img", { class: "body-image", alt: t("body.imageOf", { type }), src: address });
  const size = h("figcaption", { class: "dim" });
  picture.addEventListener("load", () => {
    size.textContent = `${picture.naturalWidth} × ${picture.naturalHeight}`;
  });
  picture.addEventListener("error", () => {
    size.textContent = t("body.imageBroken");
  });
  return h("figure", { class: "body-figure" }, picture, size);
}

function plain(text) {
  return h("pre", { class: "body-text", tabindex: "0" }, text);
}

function form(text) {
  const table = h("tbody");
  const box = h("div", {}, h("table", { class: "pairs" }, table));
  const row = ([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value));
  addPiece(table, box, [...new URLSearchParams(text)], row);
  return box;
}

// One line of a dump: where, the bytes, and those of them that are characters.
function dumpLine(array, at) {
  const part = [...array.subarray(at, at + DUMP_WIDTH)];
  const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const text = part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·"));
  return `${at.toString(16).padStart(6, "0")}  ${hex.padEnd(DUMP_WIDTH * 3)} ${text.join("")}`;
}

function dump(array) {
  const text = (end) => {
    const lines = [];
    for (let at = 0; at < end; at += DUMP_WIDTH) lines.push(dumpLine(array, at));
    return lines.join("\n");
  };
  const shown = h("pre", { class: "body-text body-dump", tabindex: "0" }, text(Math.min(array.length, DUMP_BYTES)));
  if (array.length <= DUMP_BYTES) return shown;
  const more = button(t("body.showAllBytes", { size: bytes(array.length) }), () => {
    shown.textContent = text(array.length);
    more.remove();
  }, { kind: "small" });
  return h("div", {}, shown, more);
}

// Nodes are <details>, whose insides are made when they are opened for the first time.
function treeView(tree) {
  const root = h("div", { class: "json" }, branch(tree, null, { left: OPEN_ENTRIES }));
  const all = (open) => {
    // Opening makes more of them.
    for (let found; (found = root.querySelectorAll(open ? "details:not([open])" : "details[open]")).length; ) {
      for (const each of found) setOpen(each, open);
    }
  };
  return h(
    "div",
    {},
    h(
      "div",
      { class: "json-tools" },
      button(t("body.openAll"), () => all(true), { kind: "small" }),
      button(t("body.closeAll"), () => all(false), { kind: "small" }),
    ),
    root,
  );
}

function setOpen(details, open) {
  details.open = open;
  if (open) details.fill();
}

function label(key) {
  if (key === null) return [];
  const name = typeof key === "number" ? `${key}` : JSON.stringify(key);
  return [h("span", { class: "json-key" }, name), ": "];
}

function leaf(node, key) {
  const long = node.kind === "string" && node.value.length > LONG_STRING;
  const text = node.kind === "string" ? JSON.stringify(long ? node.value.slice(0, LONG_STRING) : node.value) : node.source;
  const shown = h("span", { class: `json-${node.kind}` }, text);
  const parts = [shown];
  if (long) {
    const more = button(t("body.showAllText"), () => {
      shown.textContent = JSON.stringify(node.value);
      more.remove();
    }, { kind: "small" });
    parts.push(" ", more);
  }
  return h("div", { class: "json-leaf" }, ...label(key), ...parts);
}

function branch(node, key, budget) {
  if (!node.entries) return leaf(node, key);
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  if (!node.entries.length && !node.cut) {
    return h("div", { class: "json-leaf" }, ...label(key), open + close);
  }
  const size = t(node.kind === "object" ? "body.jsonKeys" : "body.jsonItems", { n: node.entries.length });
  const inside = h("div", { class: "json-inside" });
  const details = h(
    "details",
    {},
    h("summary", {}, ...label(key), `${open} `, h("span", { class: "json-size" }, size), ` ${close}`),
    inside,
  );
  details.fill = () => {
    if (inside.firstChild) return;
    addPiece(inside, inside, node.entries, ([name, child]) => branch(child, name, budget));
    if (node.cut) inside.append(h("div", { class: "json-cut" }, t("body.jsonCut")));
  };
  details.addEventListener("toggle", () => details.open && details.fill());
  if (node.entries.length <= budget.left) {
    budget.left -= node.entries.length;
    setOpen(details, true);
  }
  return details;
}
