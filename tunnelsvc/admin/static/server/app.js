"use strict";

// Milliseconds between two looks at the server, and until one is given up.
const INTERVAL = 2500;
const PATIENCE = 5000;

// A page that was opened as http://user:password@host/ would hand both on to fetch, which refuses.
const API = new URL("../api/", location.href);
API.username = API.password = "";

const TEXTS = {
  en: {
    skip: "Skip to the content", server: "Server", clients: "Clients", proxies: "Proxies",
    client: "Client", state: "State", address: "Address", host: "Host", version: "Version",
    since: "Since", name: "Name", type: "Type", reach: "Reached at", connections: "Connections",
    inToday: "In today", outToday: "Out today", started: "Last start", closed: "Last close",
    online: "online", offline: "offline",
    noClients: "No client has connected yet.", noProxies: "No proxy has been registered yet.",
    bindPort: "Port for clients", httpPort: "Port for http", httpsPort: "Port for https", off: "off",
    uptime: "Running for",
    subdomain: "Subdomains of", clientsOnline: "Clients online", proxiesOnline: "Proxies online",
    connecting: "Connecting…",
    updated: "Up to date, last look at {time}",
    gone: "The server does not answer since {time}. Trying again…",
    refused: "The server wants another password. Load this page again.",
    days: "{n} d ", dash: "–",
  },
  zh: {
    skip: "跳到内容", server: "服务器", clients: "客户端", proxies: "代理",
    client: "客户端", state: "状态", address: "地址", host: "主机", version: "版本",
    since: "自", name: "名称", type: "类型", reach: "访问地址", connections: "连接数",
    inToday: "今日入站", outToday: "今日出站", started: "上次启动", closed: "上次关闭",
    online: "在线", offline: "离线",
    noClients: "还没有客户端连接。", noProxies: "还没有注册代理。",
    bindPort: "客户端端口", httpPort: "HTTP 端口", httpsPort: "HTTPS 端口", off: "关闭",
    uptime: "已运行",
    subdomain: "子域名后缀", clientsOnline: "在线客户端", proxiesOnline: "在线代理",
    connecting: "正在连接…",
    updated: "已更新于 {time}",
    gone: "服务器自 {time} 起没有响应，正在重试…",
    refused: "服务器要求新的密码，请重新加载本页。",
    days: "{n} 天 ", dash: "–",
  },
};

const language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

function text(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function byId(id) {
  return document.getElementById(id);
}

// Everything from the network goes through here, as text. What is the same stays untouched, so that
// a selection survives and screen readers hear only what changed.
function put(node, value) {
  const shown = String(value);
  if (node.textContent !== shown) node.textContent = shown;
}

function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count.toLocaleString(language, { maximumFractionDigits: unit ? 1 : 0 })} ${units[unit]}`;
}

function duration(seconds) {
  const days = Math.floor(seconds / 86400);
  const clock = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
  const shown = clock.map((part) => String(Math.floor(part)).padStart(2, "0")).join(":");
  return (days ? text("days", { n: days }) : "") + shown;
}

function moment(seconds) {
  return seconds ? new Date(seconds * 1000).toLocaleString(language) : text("dash");
}

// Make a table's rows those of `items`, reusing a row for the same key.
function rows(body, items, keyOf, cellsOf) {
  const old = new Map(Array.from(body.rows, (row) => [row.dataset.key, row]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    const cells = cellsOf(item);
    const row = old.get(key) || document.createElement("tr");
    old.delete(key);
    row.dataset.key = key;
    while (row.cells.length < cells.length) row.insertCell();
    cells.forEach(([value, className], column) => {
      put(row.cells[column], value);
      if (row.cells[column].className !== className) row.cells[column].className = className;
    });
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
  });
  for (const row of old.values()) row.remove();
}

function plain(value) {
  return [value || text("dash"), ""];
}

function long(value) {
  return [value || text("dash"), "wrap"];
}

function number(value) {
  return [value, "number"];
}

function state(online) {
  return online ? [text("online"), "online"] : [text("offline"), "offline"];
}

function showFacts(info, proxies) {
  const facts = [
    ["uptime", duration(info.now - info.startedAt)],
    ["bindPort", info.bindPort],
    ["httpPort", info.vhostHTTPPort || text("off")],
    ["httpsPort", info.vhostHTTPSPort || text("off")],
    ["subdomain", info.subdomainHost || text("dash")],
    ["clientsOnline", info.clientCounts],
    ["proxiesOnline", proxies.filter((proxy) => proxy.status === "online").length],
    ["connections", info.curConns],
    ["inToday", bytes(info.totalTrafficIn)],
    ["outToday", bytes(info.totalTrafficOut)],
  ];
  const list = byId("facts");
  while (list.children.length < facts.length) {
    const group = list.appendChild(document.createElement("div"));
    group.append(document.createElement("dt"), document.createElement("dd"));
  }
  facts.forEach(([key, value], index) => {
    put(list.children[index].children[0], text(key));
    put(list.children[index].children[1], value);
  });
  put(byId("version"), info.version);
}

function showClients(clients) {
  rows(byId("clients"), clients, (client) => client.key, (client) => [
    long(client.key),
    state(client.online),
    plain(client.clientIP),
    long([client.hostname, client.os, client.arch].filter(Boolean).join(" ")),
    plain(client.version),
    plain(moment(client.online ? client.lastConnectedAt : client.disconnectedAt)),
  ]);
  byId("no-clients").hidden = clients.length > 0;
}

function reach(proxy, info) {
  const conf = proxy.conf || {};
  if (conf.remotePort) return `${location.hostname}:${conf.remotePort}`;
  const names = [...(conf.customDomains || [])];
  if (conf.subdomain) names.push(`${conf.subdomain}.${info.subdomainHost}`);
  // By CONNECT, whatever it carries: there is no scheme.
  if (proxy.type === "tcpmux") {
    return names.map((name) => `${name}:${info.tcpmuxHTTPConnectPort}`).join(" ");
  }
  // A server may have none but the port for https, and end TLS there.
  const secure = proxy.type === "https" || (!info.vhostHTTPPort && info.vhostHTTPSPort);
  const [scheme, port, usual] = secure
    ? ["https", info.vhostHTTPSPort, 443] : ["http", info.vhostHTTPPort, 80];
  const suffix = port && port !== usual ? `:${port}` : "";
  return names.map((name) => `${scheme}://${name}${suffix}`).join(" ");
}

function showProxies(proxies, info) {
  rows(byId("proxies"), proxies, (proxy) => proxy.name, (proxy) => [
    long(proxy.name),
    plain(proxy.type),
    state(proxy.status === "online"),
    long(reach(proxy, info)),
    number(proxy.curConns),
    number(bytes(proxy.todayTrafficIn)),
    number(bytes(proxy.todayTrafficOut)),
    plain(proxy.lastStartTime),
    plain(proxy.lastCloseTime),
  ]);
  byId("no-proxies").hidden = proxies.length > 0;
}

class Refused extends Error {}

async function get(path) {
  const response = await fetch(new URL(path, API), {
    cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
  });
  if (response.status === 401) throw new Refused();
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

let goneSince = null;

function showState(key, className, time) {
  const line = byId("state");
  put(line, text(key, { time }));
  line.className = className;
}

async function look() {
  const [info, clients, { proxies }] = await Promise.all(
    ["serverinfo", "clients", "proxies"].map(get),
  );
  showFacts(info, proxies);
  showClients(clients);
  showProxies(proxies, info);
}

// The line of state is read out when it changes; the time of the last look would make it talk
// without end, so it is a tooltip.
async function watch() {
  try {
    if (!document.hidden) {
      await look();
      goneSince = null;
      showState("online", "");
      byId("state").title = text("updated", { time: new Date().toLocaleTimeString(language) });
    }
  } catch (error) {
    goneSince = goneSince || new Date().toLocaleTimeString(language);
    if (error instanceof Refused) showState("refused", "gone");
    else showState("gone", "gone", goneSince);
  }
  setTimeout(watch, INTERVAL);
}

document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
for (const node of document.querySelectorAll("[data-text]")) put(node, text(node.dataset.text));
showState("connecting", "");
watch();
