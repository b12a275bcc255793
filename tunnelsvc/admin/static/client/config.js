// The view of the file: edit it, see what is wrong, see what would change, and have it used.

import { ApiError, attempt, get, post, put as send } from "../shared/api.js";
import { open } from "../shared/dialog.js";
import { attr, button, h, put, show } from "../shared/dom.js";
import { t } from "../shared/i18n.js";
import { toast } from "../shared/toast.js";
import { changes } from "./changes.js";
import { counts, lineOf, lines } from "./diff.js";
import { Editor } from "./editor.js";

// From the last key to the question whether it is right now.
const TYPING_MS = 500;
const CHANGED_SINCE = 409;

/** Nodes for a unified diff. */
function diffView(diff) {
  const found = lines(diff);
  if (!found.length) return h("p", { class: "dim" }, diff.trim() || t("diff.none"));
  const { added, removed } = counts(found);
  const names = { add: t("diff.added"), remove: t("diff.removed") };
  const rows = found.map((line) =>
    h("tr", { class: `diff-${line.kind}` },
      h("td", { class: "diff-number" }, line.old || ""),
      h("td", { class: "diff-number" }, line.new || ""),
      h("td", { class: "diff-text" }, names[line.kind] && h("span", { class: "unseen" }, names[line.kind]), h("span", {}, line.text))),
  );
  return h("div", {},
    h("p", { class: "diff-counts" }, h("span", { class: "good" }, `+${added}`), " ", h("span", { class: "bad" }, `−${removed}`)),
    h("div", { class: "diff", tabindex: "0", role: "region", "aria-label": t("diff.label") },
      h("table", {}, h("tbody", {}, rows))));
}

export class Config {
  /** Make the view; the file is read when somebody looks. */
  constructor() {
    this.base = null;
    this.checked = null;
    this.asked = null;
    this.editor = new Editor(() => this.typed());
    this.path = h("code", { class: "config-path" });
    this.state = h("span", { class: "mark", role: "status" });
    this.revert = button(t("config.revert"), () => this.load(), { kind: "small" });
    this.review = button(t("config.review"), () => attempt(() => this.showReview()), { kind: "primary", image: "check" });
    this.secrets = h("p", { class: "notice info" }, t("config.hidden"));
    this.readOnly = h("p", { class: "notice" }, t("config.readOnly"));
    this.failure = h("p", { class: "notice", role: "alert", hidden: true });
    this.found = h("div", { class: "problems", "aria-live": "polite" });
    this.panel = h("div", { class: "config card" },
      h("div", { class: "toolbar" }, this.path, this.state, h("span", { class: "grow" }), this.revert, this.review),
      this.failure, this.readOnly, this.secrets, this.editor.element, this.editor.keys, this.found);
    this.panel.addEventListener("keydown", (event) => this.press(event));
    window.addEventListener("beforeunload", (event) => {
      if (this.dirty) event.preventDefault();
    });
    show(this.readOnly, false);
    show(this.secrets, false);
    this.paint();
  }

  get dirty() {
    return this.base !== null && this.editor.text !== this.base.text;
  }

  /** Somebody looks. */
  enter() {
    if (!this.dirty) this.load();
  }

  /** The client's status says whether the file can be written. */
  statusIs(status) {
    const editable = status.config.editable;
    this.editor.readOnly = !editable;
    show(this.readOnly, !editable);
    this.editable = editable;
    this.paint();
  }

  press(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      if (!this.review.disabled) this.review.click();
    }
  }

  async load() {
    try {
      this.took(await get("config", { quiet: true }));
      show(this.failure, false);
    } catch (why) {
      put(this.failure, why.message);
      show(this.failure, true);
    }
  }

  // The file as it is now is what is edited.
  took(config) {
    const same = this.base?.text === config.text;
    this.base = config;
    if (!same || this.editor.text !== config.text) this.editor.text = config.text;
    put(this.path, config.path);
    show(this.secrets, config.hidden && /\*\*\*[0-9a-f]{8,32}\*\*\*/.test(config.text));
    this.checked = null;
    this.said(null);
    this.paint();
  }

  typed() {
    this.checked = null;
    this.paint();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check().catch((why) => {
      // A newer question is on its way; or the client is gone, which the page says already.
      if (why instanceof ApiError && why.status) toast(t("api.failed", { reason: why.message }), "bad");
    }), TYPING_MS);
  }

  async check() {
    clearTimeout(this.timer);
    this.asked?.abort();
    if (!this.dirty) {
      this.said(null);
      return null;
    }
    const asked = (this.asked = new AbortController());
    const { text } = this.editor;
    const found = await post("config/check", { text }, { quiet: true, signal: asked.signal });
    if (text !== this.editor.text) return null;
    this.said(found);
    return found;
  }

  said(found) {
    this.checked = found;
    const { text } = this.editor;
    const problems = (found?.problems ?? []).map((problem) => ({ problem, line: lineOf(problem, text) }));
    this.editor.mark(new Map(problems.filter((each) => each.line).map((each) => [each.line, each.problem])));
    this.found.replaceChildren(
      ...[
        problems.length && h("h2", {}, t("config.problems", { n: problems.length })),
        problems.length && h("ul", { class: "problem-list" }, problems.map((each) => this.problem(each))),
        !problems.length && found?.warnings.length && h("h2", {}, t("changes.warnings")),
        !problems.length && found?.warnings.length && h("ul", {}, found.warnings.map((line) => h("li", {}, line))),
      ].filter(Boolean),
    );
    this.paint();
  }

  problem({ problem, line }) {
    const said = problem.replace(/^[^\s:]*[^\s\d:][^:]*?:(?:\d+:)? (?=\S)/, "");
    if (!line) return h("li", {}, problem);
    return h("li", {}, h("button", { type: "button", class: "problem-link", onclick: () => this.editor.jump(line) },
      h("span", { class: "mark bad" }, t("config.line", { n: String(line) })), h("span", {}, said)));
  }

  paint() {
    const problems = this.checked?.problems.length ?? 0;
    let [key, kind] = ["config.same", ""];
    if (this.base === null) key = "config.loading";
    else if (problems) [key, kind] = ["config.wrong", "bad"];
    else if (this.dirty && this.checked) [key, kind] = ["config.right", "good"];
    else if (this.dirty) [key, kind] = ["config.checking", "info"];
    put(this.state, t(key, { n: problems }));
    attr(this.state, "class", `mark ${kind}`.trim());
    this.review.disabled = !this.dirty || problems > 0 || this.editable === false;
    this.revert.disabled = !this.dirty;
  }

  async showReview() {
    if (!this.checked) await this.check();
    const found = this.checked;
    if (!found || found.problems.length) return;
    const agreed = await open({
      title: t("review.title"), wide: true,
      content: [h("div", {}, changes(found)), diffView(found.diff)],
      buttons: (done) => [
        button(t("dialog.cancel"), () => done(false)),
        button(t("review.apply"), () => done(true), { kind: "primary", autofocus: true }),
      ],
      fallback: () => this.editor.area,
    });
    if (agreed) await this.write(this.base.etag);
  }

  async write(etag) {
    let done;
    try {
      done = await send("config", { text: this.editor.text, etag }, { quiet: true });
    } catch (why) {
      if (!(why instanceof ApiError)) throw why;
      if (why.status === CHANGED_SINCE) {
        await this.conflict();
        return;
      }
      toast(t("api.failed", { reason: why.message }), "bad");
      // It may have been written nevertheless, and not be usable here and now.
      this.base = await get("config");
      this.said(null);
      return;
    }
    if (done.problems?.length) {
      this.said(done);
      return;
    }
    this.took(await get("config"));
    toast(t("config.applied"), "good");
    const more = changes(done);
    this.found.replaceChildren(h("div", { class: "notice good" }, h("strong", {}, t("config.applied")), more));
  }

  // Somebody else has written the file since it was read here. Nobody's work is to be lost unseen.
  async conflict() {
    const theirs = await get("config");
    const found = await post("config/check", { text: this.editor.text });
    const choice = await open({
      title: t("conflict.title"), wide: true,
      content: [h("p", {}, t("conflict.text")), diffView(found.diff)],
      buttons: (done) => [
        button(t("dialog.cancel"), () => done(false), { autofocus: true }),
        button(t("conflict.theirs"), () => done("theirs")),
        button(t("conflict.mine"), () => done("mine"), { kind: "danger" }),
      ],
      fallback: () => this.editor.area,
    });
    if (choice === "theirs") this.took(theirs);
    else if (choice === "mine") await this.write(theirs.etag);
  }
}
