// Buttons that copy.

import { button, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { toast } from "./toast.js";

const DONE_MS = 1500;

// Browsers give the clipboard to secure pages only, and many a dashboard is read over plain HTTP.
function copyByHand(text) {
  const area = h("textarea", { class: "unseen", readonly: true, "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

/** Copy a text; give whether that worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const done = copyByHand(text);
    focused?.focus();
    return done;
  }
}

/**
 * A button that copies what `read()` gives.
 *
 * @param read - gives the text.
 * @param what - names it, for those who don't see what is beside the button.
 * @param text - what the button says; null: an icon only.
 */
export function copyButton(read, what, text = null) {
  const node = button(text, async (event) => {
    event.stopPropagation();
    if (!(await copy(read()))) {
      toast(t("copy.failed"), "bad");
      return;
    }
    toast(t("copy.done"), "good");
    node.firstChild.replaceWith(icon("check"));
    setTimeout(() => node.firstChild.replaceWith(icon("copy")), DONE_MS);
  }, { kind: text ? "small" : "quiet icon-only", image: "copy", label: t("copy.what", { what }) });
  return node;
}

/** Lines to copy, with the button. */
export function codeBlock(read, what) {
  const code = h("code", {}, read());
  return h("div", { class: "code" }, h("pre", { tabindex: "0", role: "region", "aria-label": what }, code),
    copyButton(() => code.textContent, what, t("copy.copy")));
}
