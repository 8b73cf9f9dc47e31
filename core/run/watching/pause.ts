import type { PauseRow } from "#core/contracts/project-rows.ts";

/** Who paused a project, since when and why. */
export const pausedBy = ({ project, by, atMs, reason }: PauseRow): string =>
  `The project ${project} was paused by ${by} at ${new Date(atMs).toISOString()}: ${reason.replace(/[.!]?$/, ".")}`;

/** Why a run of a paused project does not begin, and what to do about it. */
export const pausedSentence = (pause: PauseRow): string =>
  `${pausedBy(pause)} Take that back with npx stepwatch resume ${pause.project}.`;
