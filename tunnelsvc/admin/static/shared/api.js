// Requests to `/api/admin/` of whoever served this page.

import { t } from "./i18n.js";
import { toast } from "./toast.js";

// A page that was opened as http://user:password@host/ would hand both on to fetch, which refuses.
const BASE = new URL("../../api/admin/", import.meta.url);
BASE.username = BASE.password = "";

const PATIENCE_MS = 15000;
const RELOADED = "tunnelsvc.reloaded";
const RELOAD_PAUSE_MS = 10000;

/** An answer that isn't one of success, or none (`status` 0). */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function url(path) {
  return new URL(path, BASE);
}

// The cookie's other half: all ports of a host get to see that, this only pages of this one. Who logs
// in gets it (`login/login.js`), in another tab, perhaps.
const TOKEN = `tunnelsvc.csrf ${new URL("../../", BASE).pathname}`;
const token = () => localStorage.getItem(TOKEN) ?? "";

/** The URL of a path below `/api/admin/`, for what can't send headers: images, downloads, streams. */
export function withToken(path) {
  const found = url(path);
  if (token()) found.searchParams.set("csrf", token());
  return found;
}

/** Who we are: `{user, csrf, by, version}`. Asked again after each time the server was gone. */
export async function session(signal = null) {
  const found = await request("GET", "session", undefined, { quiet: true, signal });
  // Without the token we are let to look from where the login was, and can do nothing.
  if (found.by === "cookie" && !found.csrf) await loggedOut();
  return found;
}

async function send(method, path, body, signal) {
  const headers = { Accept: "application/json", "X-CSRF-Token": token() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(PATIENCE_MS);
  try {
    return await fetch(url(path), {
      method, headers, cache: "no-store", credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, t("api.unreachable"));
  }
}

async function problem(response) {
  const text = await response.text();
  try {
    return new ApiError(response.status, JSON.parse(text).Msg);
  } catch {
    return new ApiError(response.status, text.trim().slice(0, 200) || response.statusText);
  }
}

async function request(method, path, body, { quiet = false, signal = null, text = false } = {}) {
  try {
    const response = await send(method, path, body, signal);
    if (response.status === 401) await loggedOut();
    if (!response.ok) throw await problem(response);
    return await (text ? response.text() : response.json());
  } catch (error) {
    if (!quiet && error instanceof ApiError) toast(t("api.failed", { reason: error.message }), "bad");
    throw error;
  }
}

// Whoever gets the page nevertheless, and a refusal of its requests, must not load it without end.
function loggedOut() {
  const last = Number(sessionStorage.getItem(RELOADED));
  if (Date.now() - last < RELOAD_PAUSE_MS) throw new ApiError(401, t("live.ended"));
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.replace(new URL(`../../login${location.hash}`, BASE));
  return new Promise(() => {});
}

/** Ask. Options: `quiet` (no toast on failure), `signal`, `text` (not JSON). */
export const get = (path, options) => request("GET", path, undefined, options);
export const post = (path, body = {}, options = {}) => request("POST", path, body, options);
export const put = (path, body = {}, options = {}) => request("PUT", path, body, options);
export const del = (path, options) => request("DELETE", path, undefined, options);

/** Do what asks the server for something; give whether that worked. A toast has said why not. */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return false;
  }
}

/** Escape a name for a path, its slashes as well. */
export const part = encodeURIComponent;

/** End the session, and go to where one logs in. */
export async function logOut() {
  try {
    await request("POST", "../../logout");
  } catch (error) {
    // There is no session, or none that this page could use; that of a server that is gone goes on.
    if (![401, 403].includes(error.status)) return;
  }
  sessionStorage.removeItem(RELOADED);
  localStorage.removeItem(TOKEN);
  location.replace(new URL("../../", BASE));
}
