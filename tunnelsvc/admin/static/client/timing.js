// Times of requests.

import { duration, NONE } from "../shared/format.js";
import { number, t } from "../shared/i18n.js";

/** Milliseconds, with as many digits as matter. */
export function span(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms < 1000) return t("time.ms", { n: number(ms, { maximumFractionDigits: ms < 10 ? 1 : 0 }) });
  if (ms < 60000) return t("time.s", { n: number(ms / 1000, { maximumFractionDigits: ms < 10000 ? 2 : 1 }) });
  return duration(ms / 1000);
}
