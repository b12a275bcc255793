// The first minute: lines to copy, with this server's address in them.

import { get } from "../shared/api.js";
import { codeBlock } from "../shared/copy.js";
import { h, put, show } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { head } from "./common.js";

const TOKEN = "YOUR-TOKEN";

/** The lines for each way to run a client. */
function lines(facts, { webPort, tcpPort, remotePort, name }) {
  const { server_addr: host, server_port: port, token, subdomain_host: subdomain } = facts;
  // Shells have a meaning of their own for brackets.
  const server = host.includes(":") ? `'[${host.replace(/^\[|\]$/g, "")}]:${port}'` : `${host}:${port}`;
  const flag = (short) => (token ? ` ${short} ${TOKEN}` : "");
  const domain = subdomain ? ["subdomain", name] : ["custom_domains", `${name}.example.com`];
  return {
    web: `tunnelsvc http ${webPort} --server ${server}${flag("--token")}`,
    tcp: `tunnelsvc client tcp -s ${server}${flag("-t")} -n ${name} -l ${tcpPort} -r ${remotePort}`,
    ini: [
      "[common]", `server_addr = ${host}`, `server_port = ${port}`, ...(token ? [`token = ${TOKEN}`] : []), "",
      `[${name}]`, "type = tcp", "local_ip = 127.0.0.1", `local_port = ${tcpPort}`, `remote_port = ${remotePort}`,
      ...(facts.takes_http ? ["", `[${name}-web]`, "type = http", `local_port = ${webPort}`, domain.join(" = ")] : []),
    ].join("\n"),
    toml: [
      `serverAddr = "${host}"`, `serverPort = ${port}`, ...(token ? [`auth.token = "${TOKEN}"`] : []), "",
      "[[proxies]]", `name = "${name}"`, 'type = "tcp"', 'localIP = "127.0.0.1"', `localPort = ${tcpPort}`, `remotePort = ${remotePort}`,
      ...(facts.takes_http ? ["", "[[proxies]]", `name = "${name}-web"`, 'type = "http"', `localPort = ${webPort}`,
        subdomain ? `subdomain = "${name}"` : `customDomains = ["${name}.example.com"]`] : []),
    ].join("\n"),
  };
}

export class Start {
  id = "start";
  image = "start";
  topics = [];

  constructor(state) {
    this.state = state;
    this.facts = null;
    this.ports = { webPort: this.field("8888"), tcpPort: this.field("22"), remote: this.field("6000") };
    this.name = h("input", { type: "text", class: "field", value: "ssh", maxlength: "40", autocomplete: "off", spellcheck: "false", oninput: () => this.show() });
    this.blocks = {};
    for (const key of ["web", "tcp", "ini", "toml"]) this.blocks[key] = codeBlock(() => "", t(`start.what.${key}`));
    this.state_text = h("span");
    this.waiting = h("div", { class: "waiting", role: "status" }, this.state_text, h("a", { href: "#/clients" }, t("start.see")));
    this.token = h("p", { class: "notice", hidden: true }, t("start.token", { token: TOKEN }));
    this.panel = h("section", {}, head(t("view.start")).element, h("div", { class: "steps" },
      h("p", { class: "lead" }, t("start.lead")), this.waiting, this.token,
      h("section", { class: "card" }, h("h2", {}, t("start.asked")), h("div", { class: "asked" },
        h("label", {}, t("start.name"), this.name), Object.entries(this.ports).map(([key, input]) => h("label", {}, t(`start.${key}`), input)))),
      h("div", { class: "grid halves" }, ["web", "tcp", "ini", "toml"].map((key) => h("section", { class: "card" },
        h("h2", {}, t(`start.${key}`)), h("p", {}, t(`start.${key}.text`)), this.blocks[key])))));
  }

  field(value) {
    return h("input", { type: "text", class: "field", inputmode: "numeric", value, maxlength: "5", autocomplete: "off", oninput: () => this.show() });
  }

  async enter() {
    this.update("overview");
    try {
      this.facts = await get("start");
    } catch {
      return; // a toast says it
    }
    show(this.token, this.facts.token);
    const { remote } = this.ports;
    if (remote.value === remote.defaultValue) remote.value = String(this.facts.remote_port);
    remote.defaultValue = String(this.facts.remote_port);
    this.show();
  }

  update(topic) {
    if (topic !== "overview" || !this.state.overview) return;
    const { online } = this.state.overview.clients;
    this.waiting.classList.toggle("there", online > 0);
    put(this.state_text, online ? t("start.there", { n: online }) : t("start.waiting"));
    show(this.waiting.lastChild, online > 0);
  }

  show() {
    if (!this.facts) return;
    const port = ({ value, defaultValue }) => (/^\d{1,5}$/.test(value.trim()) && Number(value) < 65536 ? Number(value) : defaultValue);
    const { webPort, tcpPort, remote } = this.ports;
    const text = lines(this.facts, {
      webPort: port(webPort), tcpPort: port(tcpPort), remotePort: port(remote),
      name: this.name.value.trim().replace(/[^\w.-]+/g, "-") || this.name.defaultValue,
    });
    for (const [key, node] of Object.entries(this.blocks)) put(node.querySelector("code"), text[key]);
  }
}
