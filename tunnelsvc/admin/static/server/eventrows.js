// How events look, here and there.

import { has, t } from "../shared/i18n.js";

const KINDS = {
  login_refused: "bad", proxy_refused: "bad", user_refused: "bad", reload_failed: "bad",
  dashboard_refused: "bad", dashboard_locked: "bad",
  kicked: "warn", blocked: "warn", disabled: "warn", cut: "warn",
  login: "good", enabled: "good", allowed: "good",
  started: "info", reloaded: "info", dashboard_login: "info",
};

/** The groups there are, in the order of the filter. */
export const GROUPS = ["login", "refusal", "closure", "config", "admin"];

/** Put events with others, the newest first; one that is known already is replaced. */
export function withEvents(fresh, known) {
  const ids = new Set(fresh.map((event) => event.id));
  return [...fresh, ...known.filter((event) => !ids.has(event.id))].sort((a, b) => b.id - a.id);
}

/** The class of an event's mark. */
export const kindClass = (event) => KINDS[event.kind] ?? "";

/** What happened, in words. */
export const kindText = (event) => (has(`event.${event.kind}`) ? t(`event.${event.kind}`) : event.kind);

/** What it was about: the narrowest that is known, and the rest. */
export function subject(event) {
  const [first = "", ...rest] = [event.proxy, event.client, event.address].filter(Boolean);
  return [first, rest.join(" · ")];
}
