import { z } from "zod";

/** What an alert may be about. */
export const alertKinds = ["failed", "recovered", "stopped", "warned"] as const;
export type AlertKind = (typeof alertKinds)[number];

/** Where alerts go. */
export const alertChannels = ["sns", "slack", "teams"] as const;
export type AlertChannel = (typeof alertChannels)[number];

/** What the function alert is told in its environment, as JSON: whom it tells, and of what. No secret stands there. */
export const alertSettingsSchema = z.object({
  topicArn: z.string().optional(),
  /** Names or ARNs in Secrets Manager, `:field` behind them: they hold the webhooks' addresses. */
  slackSecret: z.string().optional(),
  teamsSecret: z.string().optional(),
  on: z.array(z.enum(alertKinds)),
  repeatHours: z.number(),
});
export type AlertSettings = z.infer<typeof alertSettingsSchema>;

/**
 * `PROJECT#<project>` / `ALERT#<lockKey>#<channel>#<about>`: what a channel has last been told of one thing that is
 * wrong, or was. Written by alert once the channel has taken it.
 */
export const alertRowSchema = z.object({
  /** Of runs that have a lock each: one of their job's name. */
  lockKey: z.string(),
  channel: z.enum(alertChannels),
  /** A unique_id; or `run …`, of what is no vertex'. */
  about: z.string(),
  state: z.enum(["failing", "good"]),
  /** Of its cause, without what is another each time. */
  cause: z.string(),
  /** When the run ended that this is of: news of an older one is none. */
  endedAtMs: z.number(),
  /** When it was first seen failing, and last told. */
  sinceMs: z.number(),
  toldAtMs: z.number(),
  runId: z.string(),
});
export type AlertRow = z.infer<typeof alertRowSchema>;
