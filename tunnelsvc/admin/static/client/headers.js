// Headers as lines of text, as an edited replay has them.

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

/** The first header of a name (in small letters); "": there is none. */
export function value(headers, name) {
  return headers.find(([other]) => other.toLowerCase() === name)?.[1] ?? "";
}
