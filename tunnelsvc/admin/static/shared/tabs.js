// Views, one at a time: each has a place of its own (`#/name`), a tab, and a panel.

import { attr, h, icon, show } from "./dom.js";

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

// Addresses are also typed, and a wrong one is as good as none.
function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/**
 * Make tabs.
 *
 * @param views - `{ id, label, image, panel (an element), enter(argument)?, leave()? }`. What is
 *   behind a second slash (`#/proxies/ssh`) is the argument, unescaped.
 * @param options - `label` of the list; `fallback()`: the id to show when the address has none.
 * @returns `{ list, badge(id, text), current(), go(id) }`.
 */
export function tabs(views, { label, fallback }) {
  const byId = new Map(views.map((view) => [view.id, view]));
  const nodes = new Map();
  const badges = new Map();
  let current = null;
  for (const view of views) {
    const badge = h("span", { class: "tab-badge" });
    badges.set(view.id, badge);
    nodes.set(view.id, h(
      "a",
      {
        class: "tab", role: "tab", id: `tab-${view.id}`, href: `#/${view.id}`,
        "aria-controls": `panel-${view.id}`, "aria-selected": "false", tabindex: "-1",
      },
      icon(view.image), h("span", { class: "tab-text" }, view.label), badge,
    ));
    view.panel.id = `panel-${view.id}`;
    attr(view.panel, "role", "tabpanel");
    attr(view.panel, "aria-labelledby", `tab-${view.id}`);
    view.panel.hidden = true;
  }
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": label }, [...nodes.values()]);

  function press(event) {
    const shown = views.filter((view) => !nodes.get(view.id).hidden);
    const at = shown.findIndex((view) => nodes.get(view.id) === document.activeElement);
    let to = null;
    if (event.key in STEPS) to = (at + STEPS[event.key] + shown.length) % shown.length;
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = shown.length - 1;
    else if (event.key === " ") to = at;
    if (to === null || at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    location.hash = `#/${shown[to].id}`;
    nodes.get(shown[to].id).focus();
  }

  function enter() {
    const [, asked, argument] = location.hash.split("/");
    const view = byId.get(asked) ?? byId.get(fallback());
    if (view !== current) {
      current?.leave?.();
      for (const each of views) {
        const chosen = each === view;
        attr(nodes.get(each.id), "aria-selected", String(chosen));
        attr(nodes.get(each.id), "tabindex", chosen ? "0" : "-1");
        show(each.panel, chosen);
      }
      current = view;
      nodes.get(view.id).scrollIntoView({ block: "nearest", inline: "nearest" });
      window.scrollTo(0, 0);
    }
    view.enter?.(argument ? unescaped(argument) : null);
  }

  list.addEventListener("keydown", press);
  window.addEventListener("hashchange", enter);
  return {
    list,
    start: enter,
    badge(id, text) {
      const node = badges.get(id);
      if (node.textContent !== text) node.textContent = text;
    },
    current: () => current?.id,
    go(id, argument = null) {
      location.hash = argument === null ? `#/${id}` : `#/${id}/${encodeURIComponent(argument)}`;
    },
    hide: (id, hidden) => show(nodes.get(id), !hidden),
  };
}
