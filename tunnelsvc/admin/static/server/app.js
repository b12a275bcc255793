// The dashboard: puts the views together, and tells them what the stream brings.

import { frame } from "../shared/frame.js";
import { number, t } from "../shared/i18n.js";
import { live, Rows } from "../shared/live.js";
import { tabs } from "../shared/tabs.js";
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

const handlers = frame({ list: bar.list, panels: views.map((view) => view.panel), host: location.host });

function badges() {
  const { clients, proxies, connections } = state.overview;
  bar.badge("clients", number(clients.online));
  bar.badge("proxies", number(Object.values(proxies).reduce((sum, each) => sum + each.online, 0)));
  bar.badge("connections", number(connections));
}

let started = false;
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
