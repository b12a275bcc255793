// Headers as lines of text, as an edited replay has them, and secrets in them.

/** What stands for a secret until somebody wants to see it. */
export const MASK = "••••••";

/** One "Name: value" a line. */
export function toLines(headers) {
  return headers.map(([name, value]) => `${name}: ${value}`).join("\n");
}

/** `{ headers: [[name, value]…], wrong: number of the first line that is none, or 0 }`. */
export function fromLines(text) {
  const headers = [];
  let wrong = 0;
  text.split("\n").forEach((line, at) => {
    if (!line.trim()) return;
    const found = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (found) headers.push([found[1], found[2]]);
    else wrong ||= at + 1;
  });
  return { headers, wrong };
}

/**
 * Headers with the secrets for the masks that are left in them: the first header of a name has the
 * secret of the first one of that name, and so on.
 */
export function unmask(headers, revealed) {
  const seen = new Map();
  return headers.map(([name, value]) => {
    const key = name.toLowerCase();
    const at = seen.get(key) ?? 0;
    seen.set(key, at + 1);
    if (!value.includes(MASK)) return [name, value];
    const secret = revealed.filter(([other]) => other.toLowerCase() === key)[at];
    return [name, secret ? secret[1] : value];
  });
}

/** The first header of a name (in small letters); "": there is none. */
export function value(headers, name) {
  return headers.find(([other]) => other.toLowerCase() === name)?.[1] ?? "";
}
