// Short results of what somebody did, read out politely.

import { button, h } from "./dom.js";
import { t } from "./i18n.js";
import "./texts.js";

const SHOWN_MS = 6000;
const ERROR_SHOWN_MS = 15000;
const MOST = 4;

const box = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
document.body.append(box);

/** Say something; `kind` is "good", "bad" or "". */
export function toast(text, kind = "") {
  const close = button(null, () => note.remove(), { kind: "quiet icon-only", image: "close", label: t("toast.close") });
  const note = h("div", { class: `toast ${kind}`.trim() }, h("span", {}, text), close);
  while (box.children.length >= MOST) box.firstChild.remove();
  box.append(note);
  setTimeout(() => note.remove(), kind === "bad" ? ERROR_SHOWN_MS : SHOWN_MS);
}
