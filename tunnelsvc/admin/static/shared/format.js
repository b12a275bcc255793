// Sizes, rates and times for people.

import { date, number, t } from "./i18n.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Nothing to show. */
export const NONE = "–";

/** A size: three digits are enough for the eye. */
export function bytes(count) {
  if (count === null || count === undefined) return NONE;
  let unit = 0;
  let value = count;
  while (Math.abs(value) >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit && Math.abs(value) < 99.95 ? 1 : 0;
  const shown = number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${shown}\u00a0${UNITS[unit]}`;
}

/** Bytes a second. */
export function rate(perSecond) {
  return perSecond === null || perSecond === undefined ? NONE : t("unit.rate", { size: bytes(perSecond) });
}

/** How long: the two largest units. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    ["unit.d", Math.floor(whole / 86400)], ["unit.h", Math.floor(whole / 3600) % 24],
    ["unit.m", Math.floor(whole / 60) % 60], ["unit.s", whole % 60],
  ];
  const first = parts.findIndex(([, value]) => value > 0);
  if (first < 0) return t("unit.s", { n: 0 });
  return parts.slice(first, first + 2).filter(([, value], place) => value || !place)
    .map(([unit, n]) => t(unit, { n })).join(" ");
}

/** How long ago, of seconds since 1970. */
export function ago(seconds, now = Date.now() / 1000) {
  if (!seconds) return NONE;
  const passed = now - seconds;
  return passed < 5 ? t("time.now") : t("time.ago", { time: coarse(passed) });
}

function coarse(seconds) {
  if (seconds < 60) return t("unit.s", { n: Math.floor(seconds / 5) * 5 });
  return duration(seconds).split(" ")[0];
}

/** A date and a time, of seconds since 1970. */
export function moment(seconds) {
  return seconds ? date(seconds) : NONE;
}

/** The time of day; with the date if that isn't today's. */
export function clock(seconds) {
  if (!seconds) return NONE;
  const today = new Date().toDateString() === new Date(seconds * 1000).toDateString();
  return today ? date(seconds, { timeStyle: "medium" }) : date(seconds, { dateStyle: "medium", timeStyle: "short" });
}

/** A day of `YYYY-MM-DD`, short. */
export function day(text, options = { month: "short", day: "numeric" }) {
  return date(Date.parse(`${text}T00:00:00Z`) / 1000, { ...options, timeZone: "UTC" });
}
