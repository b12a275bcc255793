// The form by which a request is changed before it is sent again.

import { attempt, post } from "../shared/api.js";
import { button, h, put, show } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { t } from "../shared/i18n.js";
import { MASK, fromLines, toLines } from "./headers.js";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
// Headers that say how the body was sent; the replay's is sent in its own way.
const OF_THE_BODY = ["content-length", "transfer-encoding", "connection", "keep-alive", "content-encoding"];

/** Send a request again as it was; gives the id of the new one. */
export async function replay(id) {
  return (await post(`requests/${id}/replay`, {})).id;
}

function labelled(id, label, field) {
  return h("div", { class: "labelled" }, h("label", { for: id }, label), field);
}

/**
 * The form.
 *
 * @param detail - of the request, secrets masked; where a mask stays, the client puts the secret.
 * @param end - called with the id of the replay, or null if nobody wants one any more.
 */
export function replayForm(detail, end) {
  const content = detail.request.body;
  const shown = detail.request.headers.filter(([name]) => !OF_THE_BODY.includes(name.toLowerCase()));
  const method = h("input", { type: "text", id: "replay-method", list: "replay-methods", value: detail.method, required: true, spellcheck: "false", autocomplete: "off" });
  const path = h("input", { type: "text", id: "replay-path", value: detail.path, required: true, spellcheck: "false", autocomplete: "off" });
  const headers = area("replay-headers", toLines(shown));
  const text = !content?.size || content.text !== undefined;
  const body = area("replay-body", content?.text ?? "");
  const problem = h("p", { class: "bad", role: "alert", hidden: true });

  async function send() {
    const { headers: lines, wrong } = fromLines(headers.value);
    put(problem, wrong ? t("replay.wrongHeader", { n: wrong }) : "");
    show(problem, wrong);
    if (wrong) return;
    const said = { method: method.value.trim(), path: path.value, headers: lines };
    if (text) said.body = body.value;
    else said.body_base64 = content.base64;
    end((await post(`requests/${detail.id}/replay`, said)).id);
  }

  return h(
    "form",
    { class: "replay-form", "aria-label": t("replay.edit"), onsubmit: (event) => {
      event.preventDefault();
      attempt(send);
    } },
    h("div", { class: "replay-line" },
      labelled("replay-method", t("replay.method"), method),
      labelled("replay-path", t("replay.path"), path)),
    h("datalist", { id: "replay-methods" }, METHODS.map((each) => h("option", { value: each }))),
    labelled("replay-headers", t("replay.headers"), headers),
    text ? labelled("replay-body", t("replay.body"), body)
      : h("p", { class: "notice" }, t("replay.binary", { size: bytes(content.size) })),
    content?.truncated && h("p", { class: "notice" }, t("replay.truncated", { kept: bytes(content.kept) })),
    shown.some(([, value]) => value.includes(MASK)) && h("p", { class: "dim" }, t("replay.masked", { mask: MASK })),
    problem,
    h("div", { class: "replay-buttons" },
      h("button", { type: "submit", class: "button primary" }, t("replay.send")),
      button(t("dialog.cancel"), () => end(null))),
  );
}

function area(id, text) {
  const rows = Math.min(Math.max(text.split("\n").length + 1, 4), 14);
  const field = h("textarea", { id, rows, spellcheck: "false", autocapitalize: "off", wrap: "off" });
  field.value = text;
  return field;
}
