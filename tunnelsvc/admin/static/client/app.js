// The client's page: its frame, and what feeds the views.

import { attr, h, put } from "../shared/dom.js";
import { frame } from "../shared/frame.js";
import { t } from "../shared/i18n.js";
import { live } from "../shared/live.js";
import { tabs } from "../shared/tabs.js";
import "./texts.js";
import { Config } from "./config.js";
import { Inspector } from "./inspector.js";
import { Status } from "./status.js";

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

const host = h("span");
document.title = t("page.title");
const shown = frame({
  list: tabList.list, panels: views.map((each) => each.panel), host,
  tag: h("span", { class: "tag" }, t("page.client")),
});

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

tabList.start();
live(["status", "requests"], { ...shown, status: tookStatus, requests: tookRequests });
