import { z } from "zod";

/** `cron(…)`, `rate(…)` or `at(…)` of EventBridge Scheduler. */
export const scheduleSchema = z
  .string()
  .regex(/^(cron|rate|at)\(.+\)$/, "is no cron(…), rate(…) or at(…) expression of EventBridge Scheduler.");

/** A name of the IANA list, for example Europe/Berlin. */
export const timeZoneSchema = z
  .string()
  .refine(isTimeZone, "is no time zone: write its IANA name, for example Europe/Berlin.");

/** Whether EventBridge Scheduler would take it: a name of the IANA list. Offsets such as +02:00 are none. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
