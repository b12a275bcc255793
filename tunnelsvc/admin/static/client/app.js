// The client's page: its frame, and what feeds the views.

import { logOut, session } from "../shared/api.js";
import { attr, button, h, put, show } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { live } from "../shared/live.js";
import { tabs } from "../shared/tabs.js";
import "./texts.js";
import { Config } from "./config.js";
import { Inspector } from "./inspector.js";
import { Status } from "./status.js";

const THEMES = ["auto", "light", "dark"];

const status = new Status();
const config = new Config();
const inspector = new Inspector(goTo);

// Back leads out of the details to the list, not through everything that was looked at.
function goTo(argument) {
  const address = argument === null ? "#/inspector" : `#/inspector/${encodeURIComponent(argument)}`;
  if (argument !== null && !/^#\/inspector\/./.test(location.hash)) location.hash = address;
  else location.replace(address);
}

function view(id, image, content, enter = null) {
  const title = t(`view.${id}`);
  const panel = h("div", { class: `view-${id}` }, h("div", { class: "head" }, h("h1", {}, title)), content.panel);
  return { id, label: title, image, panel, enter };
}

const views = [
  view("status", "proxies", status),
  view("inspector", "search", inspector, (argument) => inspector.enter(argument)),
  view("config", "edit", config, () => config.enter()),
];
const tabList = tabs(views, { label: t("page.nav"), fallback: () => "status" });

const host = h("span", { class: "brand-host" });
const pulse = h("span", { class: "pulse", role: "status" }, t("live.connecting"));
const out = button(null, () => logOut(), { kind: "quiet icon-only", image: "logout", label: t("page.logout"), hidden: true });

function themeButton() {
  const now = window.theme.get();
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  const node = button(null, () => {
    window.theme.set(next);
    const other = themeButton();
    node.replaceWith(other);
    other.focus();
  }, { kind: "quiet icon-only", image: now, label: t(`theme.${now}`) });
  return node;
}

document.title = t("page.title");
document.body.append(
  h("a", { class: "skip", href: "#main", onclick: skip }, t("page.skip")),
  h("div", { class: "frame" },
    h("header", { class: "side" },
      h("div", { class: "brand" },
        h("img", { src: "shared/icon.svg", alt: "" }),
        h("div", {}, h("span", { class: "brand-name" }, "tunnelsvc ", h("span", { class: "tag" }, t("page.client"))), host)),
      h("nav", { "aria-label": t("page.nav") }, tabList.list),
      h("div", { class: "side-end" }, pulse, themeButton(), out)),
    h("main", { class: "main", id: "main", tabindex: "-1" }, views.map((each) => each.panel))),
);

// The address of the page is that of its view.
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function tookStatus(message) {
  status.took(message);
  const { value } = status;
  inspector.statusIs(value);
  config.statusIs(value);
  // A client that was started without a file has none to edit.
  tabList.hide("config", !value.config.path);
  put(host, value.server);
  attr(host, "title", value.server);
  const bad = value.proxies.filter((proxy) => proxy.error).length + value.visitors.filter((each) => each.error).length;
  tabList.badge("status", bad ? `⚠ ${bad}` : "");
}

function tookRequests(message) {
  inspector.took(message);
  tabList.badge("inspector", inspector.all.length ? String(inspector.all.length) : "");
}

function state(now) {
  put(pulse, t(`live.${now}`));
  attr(pulse, "class", `pulse ${now}`);
}

tabList.start();
// A page that can't begin waits, as one whose client is gone does.
session().then((who) => show(out, who.by === "cookie"), () => {});
live(["status", "requests"], { status: tookStatus, requests: tookRequests, state });
