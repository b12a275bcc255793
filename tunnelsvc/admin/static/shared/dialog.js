// Questions before something that can't be taken back.

import { button, h } from "./dom.js";
import { t } from "./i18n.js";
import "./texts.js";

let count = 0;

/**
 * Ask, and say what will happen; give whether it was agreed to.
 *
 * Esc and a click beside it say no. The focus goes back to where it was, or to `fallback()` if that
 * is gone by then.
 *
 * @param options - `title`, `text` (or nodes in an array), `action` (what the button says),
 *   `danger` (it is red), `fallback`.
 */
export function confirm({ title, text, action, danger = false, fallback = null }) {
  return open({
    title,
    content: [text].flat().map((each) => (typeof each === "string" ? h("p", {}, each) : each)),
    buttons: (done) => [
      button(t("dialog.cancel"), () => done(false), { autofocus: danger }),
      button(action, () => done(true), { kind: danger ? "danger" : "primary", autofocus: !danger }),
    ],
    fallback,
  }).then(Boolean);
}

/**
 * Open a dialog; gives what its end says (false for Esc).
 *
 * @param options - `title`, `content` (nodes), `buttons(done)` (gives nodes), `wide`, `fallback`.
 */
export function open({ title, content, buttons, wide = false, fallback = null }) {
  const from = document.activeElement;
  const id = `dialog-${(count += 1)}`;
  return new Promise((resolve) => {
    const done = (value) => {
      dialog.close();
      dialog.remove();
      if (from?.isConnected) from.focus();
      else fallback?.()?.focus();
      resolve(value);
    };
    const dialog = h(
      "dialog",
      {
        class: wide ? "dialog wide" : "dialog", "aria-labelledby": id,
        oncancel: (event) => {
          event.preventDefault();
          done(false);
        },
        onclick: (event) => {
          if (event.target === dialog) done(false);
        },
      },
      h("div", { class: "dialog-box" },
        h("h2", { id }, title),
        h("div", { class: "dialog-content" }, content),
        h("div", { class: "dialog-buttons" }, buttons(done))),
    );
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  });
}
