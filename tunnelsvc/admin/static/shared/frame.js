// The frame of a page: its name and its views at the side, and beside them the view that is shown.

import { logOut } from "./api.js";
import { attr, button, h, icon, put, show } from "./dom.js";
import { t } from "./i18n.js";
import "./texts.js";

const THEMES = ["auto", "light", "dark"];

function themeButton() {
  const node = button(null, () => {
    window.theme.set(THEMES[(THEMES.indexOf(window.theme.get()) + 1) % THEMES.length]);
    paint();
  }, { kind: "quiet icon-only", image: "auto", label: " " });
  const paint = () => {
    const chosen = window.theme.get();
    node.replaceChildren(icon(chosen));
    attr(node, "aria-label", t(`theme.${chosen}`));
    attr(node, "title", t(`theme.${chosen}`));
  };
  paint();
  return node;
}

/**
 * Fill the page.
 *
 * @param options - `list` of tabs, `panels` of their views, `host` (a text or a node: whose page it
 *   is), `tag` (a node behind the name).
 * @returns handlers for `live`: `state(name)`, `session(found)`.
 */
export function frame({ list, panels, host, tag = null }) {
  const pulse = h("span", { class: "pulse" }, t("live.connecting"));
  const leave = button(null, () => logOut(), { kind: "quiet icon-only", image: "logout", label: t("page.logout"), hidden: true });
  const main = h("main", { class: "main", id: "main", tabindex: "-1" }, panels);
  document.body.append(
    h("a", {
      class: "skip", href: "#main",
      // The address says which view is shown, so the link must not change it.
      onclick: (event) => {
        event.preventDefault();
        main.focus();
      },
    }, t("page.skip")),
    h("div", { class: "frame" },
      h("header", { class: "side" },
        h("div", { class: "brand" }, h("img", { src: "shared/icon.svg", alt: "" }),
          h("div", {}, h("span", { class: "brand-name" }, "tunnelsvc", tag && [" ", tag]), h("span", { class: "brand-host" }, host))),
        h("nav", { "aria-label": t("page.nav") }, list),
        h("div", { class: "side-end" }, pulse, themeButton(), leave)),
      main));
  return {
    state(name) {
      attr(pulse, "class", `pulse ${name}`);
      put(pulse, t(`live.${name}`));
    },
    session: ({ by }) => show(leave, by === "cookie"),
  };
}
