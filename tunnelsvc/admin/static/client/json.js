// JSON as it was sent. JSON.parse rounds large numbers, drops repeated keys and sorts keys that are
// numbers; whoever looks for a mistake wants to see what was there. Of a text that was cut off, what
// there is of it is shown.

// Levels of nesting that are read: more is no data that somebody wants to look at.
const DEEPEST = 200;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

class CutOff extends Error {}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found?.[0];
  }

  // The next character that isn't space.
  next() {
    this.take(SPACE);
    if (this.at >= this.text.length) throw new CutOff();
    return this.text[this.at];
  }

  value(depth) {
    if (depth > DEEPEST) throw new SyntaxError("too deep");
    const first = this.next();
    if (first === "{" || first === "[") return this.container(first, depth);
    if (first === '"') return { kind: "string", value: JSON.parse(this.string()) };
    const word = this.take(WORD);
    if (word) return { kind: word === "null" ? "null" : "boolean", source: word };
    const number = this.take(NUMBER);
    if (number) return { kind: "number", source: number };
    // A word or number that the end of the text cuts in two.
    if (/^[\w.+-]{0,5}$/.test(this.text.slice(this.at))) throw new CutOff();
    throw new SyntaxError(`unexpected ${first}`);
  }

  string() {
    const found = this.take(STRING);
    if (found) return found;
    if (/["\u0000-\u001f]/.test(this.text.slice(this.at + 1).replace(/\\./g, ""))) {
      throw new SyntaxError("not a string");
    }
    throw new CutOff();
  }

  container(open, depth) {
    const node = { kind: open === "{" ? "object" : "array", entries: [], cut: false };
    const close = open === "{" ? "}" : "]";
    this.at += 1;
    try {
      this.entries(node, close, depth);
    } catch (why) {
      if (!(why instanceof CutOff)) throw why;
      node.cut = true;
      this.at = this.text.length;
    }
    return node;
  }

  entries(node, close, depth) {
    if (this.next() === close) {
      this.at += 1;
      return;
    }
    for (;;) {
      let key = node.entries.length;
      if (node.kind === "object") {
        if (this.next() !== '"') throw new SyntaxError("no key");
        key = JSON.parse(this.string());
        if (this.next() !== ":") throw new SyntaxError("no colon");
        this.at += 1;
      }
      node.entries.push([key, this.value(depth + 1)]);
      const after = this.next();
      this.at += 1;
      if (after === close) return;
      if (after !== ",") throw new SyntaxError("no comma");
    }
  }
}

/** The tree of a text, or null if it isn't JSON. Nodes: `{kind, value | source | entries, cut}`. */
export function parse(text) {
  const reader = new Reader(text.replace(/^\ufeff/, ""));
  try {
    const node = reader.value(0);
    reader.take(SPACE);
    return reader.at >= reader.text.length ? node : null;
  } catch (why) {
    if (why instanceof SyntaxError || why instanceof CutOff) return null;
    throw why;
  }
}

const INDENT = "  ";

/** A tree as text, with one entry a line. */
export function write(node, indent = "") {
  if (node.kind === "string") return JSON.stringify(node.value);
  if (!node.entries) return node.source;
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  if (!node.entries.length && !node.cut) return open + close;
  const inner = indent + INDENT;
  const lines = node.entries.map(([key, value]) => {
    const name = node.kind === "object" ? `${JSON.stringify(key)}: ` : "";
    return inner + name + write(value, inner);
  });
  if (node.cut) lines.push(`${inner}…`);
  return `${open}\n${lines.join(",\n")}\n${indent}${close}`;
}
