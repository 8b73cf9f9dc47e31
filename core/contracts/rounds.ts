import { z } from "zod";
import { runStates } from "./run-states.ts";

/** Why a further round was asked for, or opened: a person's command, Step Functions' Redrive, or `runRetries`. */
export const roundOpeners = ["person", "redrive", "consumer", "run_retry", "resume"] as const;

/**
 * One wish for a further round. It counts in the round in which it was made: settle-run takes all of them up when it
 * opens the next one, and what comes late is void by its number.
 */
export const roundRequestSchema = z.object({
  /** 0: of a run that goes on with another one. */
  round: z.int().min(0),
  by: z.enum(roundOpeners),
  /** Name of the person at the terminal, or of what asked. */
  who: z.string().optional(),
  reason: z.string().optional(),
  atMs: z.number(),
  /** What is to be built, good or not, with its tests; absent: everything that is not good. */
  nodes: z.array(z.string()).optional(),
  /** Everything below these nodes too. */
  downstream: z.boolean().default(false),
  /** Also what may double its rows, or whose outcome is unknown: a person has looked at the table. */
  force: z.boolean().default(false),
  /** Builds of the round are given `--full-refresh`. */
  fullRefresh: z.boolean().default(false),
  /** Size of the round's tasks; absent: the execution queue's. */
  size: z.enum(["producer", "queue"]).optional(),
});
export type RoundRequest = z.infer<typeof roundRequestSchema>;

/** A round that has ended: what the next one is compared with, and what a person reads of it. */
export const pastRoundSchema = z.object({
  round: z.int().min(0),
  state: z.enum(runStates),
  /** Its first line, cut. */
  verdict: z.string(),
  summaryKey: z.string().optional(),
  startedAtMs: z.number(),
  endedAtMs: z.number(),
  opening: roundRequestSchema.optional(),
});
export type PastRound = z.infer<typeof pastRoundSchema>;
