// How events look, here and there.

import { has, t } from "../shared/i18n.js";

const KINDS = {
  login_refused: "bad", proxy_refused: "bad", user_refused: "bad", reload_failed: "bad",
  dashboard_refused: "bad", dashboard_locked: "bad",
  kicked: "warn", blocked: "warn", disabled: "warn", cut: "warn",
  login: "good", proxy_opened: "good", enabled: "good", allowed: "good",
  started: "info", reloaded: "info", dashboard_login: "info",
};

/** The groups there are, in the order of the filter. */
export const GROUPS = ["login", "refusal", "closure", "config", "admin"];

/** The class of an event's mark. */
export const kindClass = (event) => KINDS[event.kind] ?? "";

/** What happened, in words. */
export const kindText = (event) => (has(`event.${event.kind}`) ? t(`event.${event.kind}`) : event.kind);

/** Whom it was about. */
export const subject = (event) => [event.client, event.proxy].filter(Boolean).join(" · ");
