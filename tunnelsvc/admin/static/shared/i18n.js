// Texts in the reader's language, and dates and numbers as written there.

const dictionaries = { en: {}, zh: {} };

function chosen() {
  for (const each of navigator.languages ?? [navigator.language]) {
    const short = each.toLowerCase().split("-")[0];
    if (short in dictionaries) return [short, each];
  }
  return ["en", "en"];
}

const [short, locale] = chosen();

/** `en` or `zh`. */
export const language = short;

const plurals = new Intl.PluralRules(locale);
const cache = new Map();

/** Add texts: `add({ en: { "a.b": "text of {name}" }, zh: … })`. A text may be `{ zero?, one, other }`, chosen by `n`. */
export function add(texts) {
  for (const each of Object.keys(dictionaries)) Object.assign(dictionaries[each], texts[each]);
}

/** Whether there is a text of this name. */
export function has(key) {
  return key in dictionaries[language];
}

/** Give a text with its `{names}` filled in; numbers among them as written here. */
export function t(key, values = {}) {
  let text = dictionaries[language][key] ?? dictionaries.en[key] ?? key;
  if (typeof text === "object") text = (values.n === 0 ? text.zero : null) ?? text[plurals.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (all, name) => {
    const value = values[name] ?? all;
    return typeof value === "number" ? number(value) : value;
  });
}

function formatter(kind, options) {
  const key = kind.name + JSON.stringify(options);
  let found = cache.get(key);
  if (!found) cache.set(key, (found = new kind(locale, options)));
  return found;
}

/** A number as written here. */
export function number(value, options = {}) {
  return formatter(Intl.NumberFormat, options).format(value);
}

/** A date, a time or both, of seconds since 1970. */
export function date(seconds, options = { dateStyle: "medium", timeStyle: "medium" }) {
  return formatter(Intl.DateTimeFormat, options).format(seconds * 1000);
}

/** Compare two texts as a reader here sorts them; numbers in them by their value. */
export const compare = new Intl.Collator(locale, { numeric: true }).compare;

document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
