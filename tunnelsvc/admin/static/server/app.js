// The dashboard: puts the views together, and tells them what the stream brings.

import { logOut } from "../shared/api.js";
import { attr, button, h, icon, put, show } from "../shared/dom.js";
import { number, t } from "../shared/i18n.js";
import { live, Rows } from "../shared/live.js";
import { tabs } from "../shared/tabs.js";
import "../shared/texts.js";
import "./texts.js";
import { Clients } from "./clients.js";
import { Connections } from "./connections.js";
import { withEvents } from "./eventrows.js";
import { Events } from "./events.js";
import { Overview } from "./overview.js";
import { Proxies } from "./proxies.js";
import { Start } from "./start.js";

const TICK_MS = 5000;
const KEPT_EVENTS = 500;
const THEMES = ["auto", "light", "dark"];

// All that the stream said so far. Rows are never changed, but replaced.
const state = {
  overview: null,
  points: [],
  clients: new Rows("key"),
  proxies: new Rows("name"),
  connections: new Rows("id"),
  more: 0,
  events: [],
  // The server's clock, as far as we know: ages don't depend on how well this machine's is set.
  offset: 0,
  now: () => Date.now() / 1000 + state.offset,
};

const take = {
  overview({ value }, kind) {
    state.overview = kind === "snapshot" ? value : { ...state.overview, ...value };
    state.offset = state.overview.now - Date.now() / 1000;
    // A whole curve comes at first, and when points were missed.
    if (value.curve) state.points = value.curve;
    else if (value.point) state.points = [...state.points.slice(1 - (state.points.length || 1)), value.point];
  },
  clients: (message) => state.clients.take(message),
  proxies: (message) => state.proxies.take(message),
  connections(message) {
    state.connections.take(message);
    state.more = message.more ?? (message.rows ? 0 : state.more);
  },
  events({ rows, changed = [] }) {
    state.events = withEvents(rows ?? changed, rows ? [] : state.events).slice(0, KEPT_EVENTS);
  },
};

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

const go = (id, argument) => bar.go(id, argument);
const views = [Overview, Clients, Proxies, Connections, Events, Start].map((View) => new View(state, go));
for (const view of views) {
  view.label = t(`view.${view.id}`);
  const entered = view.enter.bind(view);
  view.enter = (argument) => {
    document.title = `${view.label} · tunnelsvc`;
    stream?.follow(topicsOf(view));
    entered(argument);
  };
}
const topicsOf = (view) => ["overview", ...view.topics];
const bar = tabs(views, {
  label: t("page.nav"),
  fallback: () => (state.overview?.clients.known === 0 ? "start" : "overview"),
});

const pulse = h("span", { class: "pulse" }, t("live.connecting"));
const leave = button(null, () => logOut(), { kind: "quiet icon-only", image: "logout", label: t("page.logout"), hidden: true });
const main = h("main", { class: "main", id: "main", tabindex: "-1" }, views.map((view) => view.panel));
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
        h("div", {}, h("span", { class: "brand-name" }, "tunnelsvc"), h("span", { class: "brand-host" }, location.host))),
      h("nav", { "aria-label": t("page.nav") }, bar.list),
      h("div", { class: "side-end" }, pulse, themeButton(), leave)),
    main));

function badges() {
  const { clients, proxies, connections } = state.overview;
  bar.badge("clients", number(clients.online));
  bar.badge("proxies", number(Object.values(proxies).reduce((sum, each) => sum + each.online, 0)));
  bar.badge("connections", number(connections));
}

let started = false;
const handlers = {
  state(name) {
    pulse.className = `pulse ${name}`;
    put(pulse, t(`live.${name}`));
  },
  session: ({ by }) => show(leave, by === "cookie"),
};
for (const topic of Object.keys(take)) {
  handlers[topic] = (message, kind) => {
    take[topic](message, kind);
    if (topic === "overview") badges();
    if (!started) begin();
    else views.find((view) => view.id === bar.current())?.update?.(topic, message, kind);
  };
}

// Which view is the first depends on whether there is a client, unless the address says it.
function begin() {
  if (started || !state.overview) return;
  started = true;
  bar.start();
}

const hasPlace = location.hash.startsWith("#/");
const asked = views.find((view) => view.id === location.hash.split("/")[1]) ?? views[0];
let stream = null;
stream = live(topicsOf(asked), handlers);
if (hasPlace) {
  started = true;
  bar.start();
}
setInterval(() => {
  if (!document.hidden) views.find((view) => view.id === bar.current())?.tick?.();
}, TICK_MS);
