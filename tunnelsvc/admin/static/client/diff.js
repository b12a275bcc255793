// A unified diff, line by line, with the numbers that the lines have in both files.

/** Returns `[{kind: "hunk" | "add" | "remove" | "same", old, new, text}]`; numbers are 0 where a line isn't. */
export function lines(diff) {
  const found = [];
  let before = 0;
  let after = 0;
  for (const line of diff.split("\n")) {
    const hunk = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
    if (hunk) {
      before = Number(hunk[1]);
      after = Number(hunk[2]);
      found.push({ kind: "hunk", old: 0, new: 0, text: line });
    } else if (!before && !after) {
      continue; // The names of the files, ahead of the first hunk.
    } else if (line.startsWith("+")) {
      found.push({ kind: "add", old: 0, new: after++, text: line.slice(1) });
    } else if (line.startsWith("-")) {
      found.push({ kind: "remove", old: before++, new: 0, text: line.slice(1) });
    } else if (line.startsWith(" ")) {
      found.push({ kind: "same", old: before++, new: after++, text: line.slice(1) });
    }
  }
  return found;
}

/** How many lines were added and removed. */
export function counts(found) {
  const number = (kind) => found.filter((line) => line.kind === kind).length;
  return { added: number("add"), removed: number("remove") };
}

/**
 * The number of the line that a problem with a configuration is about; 0: unknown.
 *
 * Problems begin with "FILE:LINE: ", or name the place: "[section] key = value: what is wrong".
 */
export function lineOf(problem, text) {
  const numbered = /^[^\s:]*[^\s\d:][^:]*:(\d+): /.exec(problem);
  if (numbered) return Number(numbered[1]);
  const place = /(?:^|: )\[([^\]]+)\](?: ([\w.-]+))?/.exec(problem);
  if (!place) return 0;
  const rows = text.split("\n");
  const name = place[1].replace(/^(?:proxies|visitors)\./, "");
  const begin = rows.findIndex((row) => beginsSection(row, place[1], name));
  if (begin < 0 || !place[2]) return begin + 1;
  const key = rows.findIndex((row, at) => at >= begin && hasKey(row, place[2]));
  return (key < 0 ? begin : key) + 1;
}

function beginsSection(row, section, name) {
  const bare = row.trim();
  if (bare === `[${section}]` || bare === `[[${section}]]`) return true;
  const named = /^(?:-\s*)?"?name"?\s*[:=]\s*["']?(.*?)["']?,?$/.exec(bare);
  return named?.[1] === name;
}

function hasKey(row, key) {
  const found = /^(?:-\s*)?["']?([\w.-]+)["']?\s*[:=]/.exec(row.trim());
  return found?.[1] === key;
}

// Lines of two texts that are compared each with each; more take too long while somebody waits.
const MOST_COMPARED = 1000;

/**
 * Which lines of two texts the other one doesn't have.
 *
 * @returns two arrays of `{ text, changed }`.
 */
export function compare(before, after) {
  const old = before.split("\n");
  const now = after.split("\n");
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  const most = Math.min(old.length, now.length) - head;
  while (tail < most && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const kept = common(old.slice(head, old.length - tail), now.slice(head, now.length - tail));
  const marked = (all, same) =>
    all.map((text, at) => ({
      text,
      changed: at >= head && at < all.length - tail && !same.has(at - head),
    }));
  return [marked(old, kept[0]), marked(now, kept[1])];
}

// The longest common subsequence: places of its lines in both.
function common(old, now) {
  const kept = [new Set(), new Set()];
  if (old.length > MOST_COMPARED || now.length > MOST_COMPARED) return kept;
  const width = now.length + 1;
  const lengths = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      lengths[at] = old[i] === now[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  let [i, j] = [0, 0];
  while (i < old.length && j < now.length) {
    if (old[i] === now[j]) {
      kept[0].add(i++);
      kept[1].add(j++);
    } else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return kept;
}
