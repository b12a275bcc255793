// The list of requests: its order, and which of them a filter lets through.

/** Newest first. */
export function newestFirst(rows) {
  return rows.sort((a, b) => b.id - a.id);
}

/** The values that a field has in some rows, sorted, for a choice among them. */
export function values(rows, field) {
  return [...new Set(rows.map((row) => row[field]))].sort();
}

/**
 * Those rows that a filter lets through, in their order.
 *
 * @param filter - `{ text, method, status, proxy }`, each "" for any.
 * @param found - ids of rows that have the text in them where only the client can look.
 */
export function filtered(rows, filter, found) {
  const text = filter.text.toLowerCase();
  return rows.filter(
    (row) =>
      (!filter.method || row.method === filter.method) &&
      (!filter.proxy || row.proxy === filter.proxy) &&
      (!filter.status || ofClass(row, filter.status)) &&
      (!text || found.has(row.id) || hasText(row, text)),
  );
}

// "error": there was no answer, or not all of it.
function ofClass(row, status) {
  if (status === "error") return Boolean(row.error);
  return String(row.status || "")[0] === status[0];
}

function hasText(row, text) {
  return [row.url, row.method, row.error, row.status].some((value) =>
    String(value ?? "").toLowerCase().includes(text),
  );
}

/** The class of a row's colour. */
export function tone(row) {
  if (row.status) return `s${String(row.status)[0]}`;
  return row.error ? "s5" : "waiting";
}

/** Whether there won't be more of it. */
export function ended(row) {
  return row.ms !== null && row.ms !== undefined;
}
