// Elements, and lists of them that follow data.
//
// Whatever comes from the network gets into the page through here, and here only as text: nothing
// in these modules parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else attr(node, name, value);
  }
  node.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return node;
}

/**
 * Make an element: `h("a", { href: "#/x", class: "link", onclick: go }, "text", otherNode)`.
 *
 * Properties are attributes (true: there, null or false: not there); `on…` are listeners. Children
 * are nodes and strings, in arrays of any depth; null and false are left out.
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Make an element of SVG; as `h`. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Set an attribute, unless it is so already; null, undefined and false take it away. */
export function attr(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const shown = value === true ? "" : String(value);
  if (node.getAttribute(name) !== shown) node.setAttribute(name, shown);
}

/**
 * Set a node's text, unless it is so already: a selection survives, screen readers hear only what
 * changed, and the browser lays out nothing anew.
 */
export function put(node, value) {
  const shown = value === null || value === undefined ? "" : String(value);
  if (node.textContent !== shown) node.textContent = shown;
  return node;
}

/** Show or hide. */
export function show(node, shown) {
  if (node.hidden === Boolean(shown)) node.hidden = !shown;
  return node;
}

/** An icon of the set below, for the eye only. */
export function icon(name) {
  const paths = ICONS[name].map((d) => svg("path", { d }));
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, paths);
}

/** A button with an icon or a text, or both. */
export function button(text, onclick, { kind = "", image = null, label = null, ...more } = {}) {
  return h(
    "button",
    { type: "button", class: `button ${kind}`.trim(), "aria-label": label, title: label, onclick, ...more },
    image && icon(image), text && h("span", {}, text),
  );
}

/** Say what a button does, to those who hear and those who point. */
export function name(node, label) {
  attr(node, "aria-label", label);
  attr(node, "title", label);
}

const lists = new WeakMap();

/**
 * Make the children of `parent` those of `items`; it has no others.
 *
 * A node is made once for each key, painted anew only when its item is another object than last
 * time, and moved only if its place is another. What was focused keeps the focus.
 *
 * @param parent - an element, empty the first time.
 * @param items - in order.
 * @param keyOf - gives an item's key; unique.
 * @param make - gives a new node for an item.
 * @param paint - shows an item in its node: `paint(node, item)`.
 */
export function keyed(parent, items, keyOf, make, paint) {
  let known = lists.get(parent);
  if (!known) lists.set(parent, (known = new Map()));
  const wanted = new Set(items.map(keyOf));
  for (const [key, entry] of known) {
    if (wanted.has(key)) continue;
    entry.node.remove();
    known.delete(key);
  }
  const focused = document.activeElement;
  let at = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    let entry = known.get(key);
    if (!entry) known.set(key, (entry = { node: make(item), item: null }));
    if (entry.item !== item) {
      entry.item = item;
      paint(entry.node, item);
    }
    if (entry.node === at) at = at.nextSibling;
    else parent.insertBefore(entry.node, at);
  }
  if (focused !== document.activeElement && parent.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
}

/** Give the nodes and items that `keyed` shows, as `[{ node, item }]`. */
export function shownIn(parent) {
  return [...(lists.get(parent)?.values() ?? [])];
}

const ICONS = {
  overview: ["M3 13h8V3H3z", "M13 21h8v-8h-8z", "M3 21h8v-4H3z", "M13 9h8V3h-8z"],
  clients: ["M4 5h16v10H4z", "M2 19h20", "M9 15v4", "M15 15v4"],
  proxies: ["M4 7h13l-3-3", "M20 17H7l3 3"],
  connections: ["M5 12h14", "M5 12a2 2 0 1 1-4 0 2 2 0 0 1 4 0z", "M23 12a2 2 0 1 1-4 0 2 2 0 0 1 4 0z", "M9 8l3-3 3 3", "M15 16l-3 3-3-3"],
  events: ["M8 6h13", "M8 12h13", "M8 18h13", "M3.5 6h.01", "M3.5 12h.01", "M3.5 18h.01"],
  start: ["M5 3l14 9-14 9z"],
  copy: ["M9 9h11v11H9z", "M5 15H4V4h11v1"],
  check: ["M4 12l5 5L20 6"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  kick: ["M15 4h4v16h-4", "M4 12h11", "M11 8l4 4-4 4"],
  block: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M5.6 5.6l12.8 12.8"],
  play: ["M7 4l12 8-12 8z"],
  pause: ["M8 5v14", "M16 5v14"],
  open: ["M14 4h6v6", "M20 4l-9 9", "M19 14v6H4V5h6"],
  search: ["M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14z", "M20 20l-4-4"],
  up: ["M12 19V5", "M6 11l6-6 6 6"],
  down: ["M12 5v14", "M6 13l6 6 6-6"],
  light: ["M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z", "M12 2v2", "M12 20v2", "M2 12h2", "M20 12h2", "M5 5l1.4 1.4", "M17.6 17.6L19 19", "M5 19l1.4-1.4", "M17.6 6.4L19 5"],
  dark: ["M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5z"],
  auto: ["M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z", "M12 3v18", "M12 7h5.5", "M12 11h8.5", "M12 15h8"],
  logout: ["M10 4H5v16h5", "M9 12h12", "M17 8l4 4-4 4"],
  reload: ["M20 12a8 8 0 1 1-2.3-5.7", "M20 3v5h-5"],
  chart: ["M4 20h16", "M4 16l5-6 4 3 6-8"],
  edit: ["M4 20h4L19 9l-4-4L4 16z"],
  download: ["M12 4v11", "M7 11l5 5 5-5", "M4 20h16"],
  trash: ["M4 7h16", "M9 7V4h6v3", "M6 7l1 13h10l1-13"],
  eye: ["M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12z", "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z"],
};
