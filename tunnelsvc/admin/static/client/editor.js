// A text area with line numbers and colours, for configuration files.
//
// The text area lies over a painted copy of its text and is as large as that, so that nothing has to
// be kept in step when it is scrolled. Tab indents; after Esc it leaves, as it does elsewhere.

import { attr, h, put } from "../shared/dom.js";
import { t } from "../shared/i18n.js";

const INDENT = "  ";
// Lines that are coloured; what is longer is nobody's to edit by hand, and stays readable.
const MOST_LINES = 5000;

const RULES = [
  [/^\s*(?:[#;]|\/\/).*$/, "comment"],
  [/^\s*\[.*\]\s*$/, "section"],
];
const PAIR = /^(\s*(?:-\s+)?["']?)([\w.-]+)(["']?\s*[=:])(.*)$/;
const MARK = /(\*\*\*[0-9a-f]{8,32}\*\*\*)/;

function parts(line) {
  for (const [pattern, name] of RULES) if (pattern.test(line)) return [[line, name]];
  const pair = PAIR.exec(line);
  if (!pair) return [[line, ""]];
  const value = pair[4].split(MARK).map((text) => [text, MARK.test(text) ? "hidden-mark" : "value"]);
  return [[pair[1], ""], [pair[2], "key"], [pair[3], ""], ...value].filter(([text]) => text);
}

export class Editor {
  /** Make an empty editor; `changed()` is called when somebody has typed. */
  constructor(changed) {
    this.leaving = false;
    this.lines = [];
    this.area = h("textarea", {
      class: "editor-text", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off",
      "aria-label": t("editor.label"), "aria-describedby": "editor-keys",
      onkeydown: (event) => this.press(event),
      onblur: () => (this.leaving = false),
      oninput: () => {
        this.paint();
        changed();
      },
    });
    this.paper = h("div", { class: "editor-paper", "aria-hidden": "true" });
    this.element = h("div", { class: "editor" }, h("div", { class: "editor-page" }, this.paper, this.area));
    this.keys = h("p", { id: "editor-keys", class: "dim editor-keys" }, t("editor.keys"));
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    this.area.value = text;
    this.paint();
  }

  set readOnly(only) {
    this.area.readOnly = only;
  }

  paint() {
    const lines = this.area.value.split("\n");
    while (this.paper.children.length > lines.length) this.paper.lastChild.remove();
    const coloured = lines.length <= MOST_LINES;
    lines.forEach((line, at) => {
      let node = this.paper.children[at];
      if (node && this.lines[at] === line) return;
      if (!node) {
        node = h("div", { class: "editor-line" });
        this.paper.append(node);
      }
      // An empty line is as high as any other.
      if (!line || !coloured) node.replaceChildren(line || "\u200b");
      else node.replaceChildren(...parts(line).map(([text, name]) => (name ? h("span", { class: `code-${name}` }, text) : text)));
    });
    this.lines = lines;
    this.element.style.setProperty("--digits", String(Math.max(2, String(lines.length).length)));
  }

  /** Mark lines: those of a map from their numbers, from 1, to what is wrong with them. */
  mark(problems) {
    [...this.paper.children].forEach((node, at) => {
      node.classList.toggle("wrong", problems.has(at + 1));
    });
    attr(this.area, "aria-invalid", problems.size ? "true" : null);
  }

  /** Go to a line. */
  jump(number) {
    const rows = this.area.value.split("\n");
    const at = Math.min(Math.max(number, 1), rows.length) - 1;
    const begin = rows.slice(0, at).join("\n").length + (at ? 1 : 0);
    this.area.focus({ preventScroll: true });
    this.area.setSelectionRange(begin, begin + rows[at].length);
    this.paper.children[at]?.scrollIntoView({ block: "center" });
  }

  press(event) {
    if (event.key === "Escape") {
      this.leaving = true;
      put(this.keys, t("editor.leaving"));
      return;
    }
    if (event.key === "Tab" && !this.leaving && !event.ctrlKey && !event.altKey && !this.area.readOnly) {
      event.preventDefault();
      if (event.shiftKey) this.outdent();
      else this.insert(INDENT);
    }
    if (event.key !== "Tab" && event.key !== "Shift" && this.leaving) {
      this.leaving = false;
      put(this.keys, t("editor.keys"));
    }
  }

  // By the browser's own command, obsolete as it is: what is inserted otherwise can't be undone.
  insert(text) {
    if (!document.execCommand("insertText", false, text)) {
      this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, "end");
    }
    this.area.dispatchEvent(new Event("input"));
  }

  outdent() {
    const { selectionStart, value } = this.area;
    const begin = value.lastIndexOf("\n", selectionStart - 1) + 1;
    const space = /^(?:\t| {1,2})/.exec(value.slice(begin))?.[0].length ?? 0;
    if (!space) return;
    this.area.setSelectionRange(begin, begin + space);
    if (!document.execCommand("delete")) this.area.setRangeText("");
    const at = Math.max(begin, selectionStart - space);
    this.area.setSelectionRange(at, at);
    this.area.dispatchEvent(new Event("input"));
  }
}
