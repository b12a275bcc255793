// What to do about errors, for readers of Chinese. The English sentences come from the client
// (tunnelsvc/admin/clienthints.py), with the keys by which these are found.

import { language } from "../shared/i18n.js";

const HINTS = {
  health_check: "本地服务未通过健康检查，因此不会收到用户请求。检查一旦成功，代理会自动恢复。请检查该服务和 health_check_url。",
  wrong_token: "token 与服务器不一致。请从服务器的配置文件复制 token（TOML 中为 auth.token），前后不要有空格，然后重启客户端。",
  clock: "本机与服务器的时钟相差太大。请用 NTP 校准两边的时间。",
  blocked: "服务器管理员已封禁此客户端，可在控制面板中解除。",
  client_id_taken: "另一个客户端已用此 client_id 登录。请为每个客户端设置不同的 client_id。",
  server_refuses: "该地址和端口上没有程序监听。服务器在运行吗？此处的 server_port 必须等于服务器的 bind_port，且防火墙必须放行。",
  unknown_host: "无法解析 server_addr 中的名称。请检查拼写，以及本机能否解析域名。",
  server_unreachable: "服务器没有响应。server_addr 正确吗？防火墙或云厂商的安全组可能拦截了 server_port；有些网络只允许类似网页的流量，可尝试 protocol = wss 或 http_proxy。",
  tls: "两端的 TLS 设置不一致。使用 tls_trusted_ca_file 时，服务器证书必须由该 CA 签发，并且对应 tls_server_name 或 server_addr。服务器设置了 tls_only 时需要 tls_enable = true。",
  no_answer: "该端口上的程序不是隧道服务器，或设置不符。server_port 是 bind_port 吗（而不是 vhost 或控制面板端口）？请比较 tls_enable、protocol 和 tcp_mux。",
  version: "两端程序的版本不兼容。请更新较旧的一端。",
  http_proxy: "http_proxy 中的代理不让我们通过。请检查其地址、用户和密码，以及它是否允许 CONNECT 到 server_port。",
  lost: "连接中断，正在自动重连。如果经常发生，说明中间设备会断开空闲连接：请减小 heartbeat_interval。",
  port_taken: "另一个代理或程序占用了此端口。请选择其他端口，或停止占用它的程序。",
  port_not_allowed: "服务器不开放此端口。请从其 allow_ports 中选择 remote_port，或在服务器上添加。",
  no_port_left: "服务器可分配的端口已用完。请指定 remote_port，或扩大 allow_ports。",
  too_many_ports: "此客户端已用完服务器允许的端口数。请移除一个代理，或提高 max_ports_per_client。",
  name_taken: "另一个客户端已有同名代理。请改名，或将 user 设为此客户端独有的值（会加在名称前）。",
  domain_taken: "另一个代理已使用此域名和相同的 locations。请选择其他域名或子域名，或为两者设置相同的 group 和 group_key。",
  no_vhost_port: "服务器不支持此类型：需设置 vhost_http_port（http）、vhost_https_port（https）或 tcpmux_httpconnect_port（tcpmux）。",
  no_subdomains: "服务器没有 subdomain_host。请使用指向服务器的 custom_domains，或设置 subdomain_host。",
  use_subdomain: "服务器 subdomain_host 之下的名称应使用 subdomain = 名称，而不是 custom_domains。",
  disabled: "服务器管理员已停用此代理，可在控制面板中重新启用。",
  group: "同一组的代理必须有相同的 group_key、类型以及端口或域名。",
  type_unknown: "服务器版本太旧，或未包含此功能。请更新服务器。",
  wrong_sk: "此处的 sk（TOML 中为 secretKey）必须与提供者配置文件中的相同。",
  no_owner: "没有客户端提供该名称的代理。提供者的客户端已登录吗？server_name 以及（若提供者设置了 user）server_user 正确吗？",
  visitor_not_allowed: "提供者只允许其他用户访问：其 allow_users 中必须包含我们的 user 或 *。",
  local_down: "本地地址没有响应。服务在运行吗？local_port 正确吗？容器或其他机器上的服务需要在 local_ip 中填写其地址。",
};

/** What to do about the error of a status: in the reader's language, if it is known there. */
export function hintOf(status) {
  return (language === "zh" && HINTS[status.hint_key]) || status.hint;
}
