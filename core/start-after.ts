import { z } from "zod";
import { type DetailType, EVENT_SOURCE } from "#core/contracts/events.ts";
import { PROJECT_NAME } from "#core/names.ts";

/** What EventBridge takes as a rule's pattern. Characters. */
const MOST_PATTERN = 2_048;

const EVENT_FIELDS = ["source", "detail-type", "detail", "account", "region", "resources", "version", "id", "time"];

const afterProjectSchema = z.strictObject({
  project: z.string().regex(PROJECT_NAME, "is no project name."),
  /** Runs of this job of it alone; unset: of any, and those of none. */
  job: z.string().regex(PROJECT_NAME, "is no job name.").optional(),
  /** Of another stack of the same account and region; unset: this one. */
  stack: z.string().min(1).optional(),
});

const afterObjectSchema = z.strictObject({
  s3: z.strictObject({
    bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "is no name of a bucket."),
    /** Beginning of the keys; unset: every object. */
    prefix: z.string().min(1).max(1_024).optional(),
  }),
});

const afterEventSchema = z.strictObject({
  /** As EventBridge's own patterns are written. */
  event: z
    .record(
      z
        .string()
        .refine((field) => EVENT_FIELDS.includes(field), `is no field of an event: ${EVENT_FIELDS.join(", ")}.`),
      z.json(),
    )
    .refine(
      (pattern) => "source" in pattern || "detail-type" in pattern,
      "names neither source nor detail-type: every event of the account would start a run.",
    )
    .refine(
      (pattern) => JSON.stringify(pattern).length <= MOST_PATTERN,
      `is longer than ${MOST_PATTERN} characters, which EventBridge does not take.`,
    ),
});

/** What a run of a project or a job follows: another project's green run, an object of S3, or any event. */
export const startAfterSchema = z
  .array(
    z.union([afterProjectSchema, afterObjectSchema, afterEventSchema], {
      error: "is none of {project: …}, {s3: {bucket: …, prefix: …}} and {event: …}.",
    }),
  )
  .min(1)
  .max(20);
export type StartAfter = z.infer<typeof startAfterSchema>[number];

/** A start by an event, as a rule of EventBridge has it. */
export interface EventStart {
  readonly pattern: Readonly<Record<string, unknown>>;
  /** Paths into the event that together make a second delivery the same trigger. */
  readonly identity: readonly string[];
  readonly words: string;
}

/** Detail type of the event of a run that has its verdict. */
export const RUN_ENDED: DetailType = "Run ended";

/**
 * The rule of one start. What names the occurrence is safe in JSON: EventBridge puts it into the run's input as it is, so
 * that an object is known by its sequencer and never by its key.
 */
export function eventStart(after: StartAfter, ownStack: string): EventStart {
  if ("project" in after) {
    const { project, job, stack = ownStack } = after;
    // What somebody builds of it by hand, one model or another target, is nothing that all the rest could follow.
    const run = { project: [project], state: ["green"], stack: [stack], kind: ["build"], asConfigured: [true] };
    const detail = job === undefined ? run : { ...run, job: [job] };
    return {
      pattern: { source: [EVENT_SOURCE], "detail-type": [RUN_ENDED], detail },
      identity: ["$.detail.id"],
      words: `a green run of ${job === undefined ? "" : `the job ${job} of `}${project}`,
    };
  }
  if ("event" in after) return { pattern: after.event, identity: ["$.id"], words: "an event" };
  const { bucket, prefix } = after.s3;
  const object = prefix === undefined ? {} : { object: { key: [{ prefix }] } };
  return {
    pattern: {
      ...{ source: ["aws.s3"], "detail-type": ["Object Created"] },
      detail: { bucket: { name: [bucket] }, ...object },
    },
    identity: ["$.detail.bucket.name", "$.detail.object.sequencer"],
    words: `an object below s3://${bucket}/${prefix ?? ""}`,
  };
}

type Started = {
  readonly startAfter?: readonly StartAfter[] | undefined;
  readonly jobs: Readonly<Record<string, { readonly startAfter?: readonly StartAfter[] | undefined }>>;
};

/** Whether something starts after a project of the same stack, whose events it hears. */
export const startsAfterProject = (projects: Readonly<Record<string, Started>>): boolean =>
  Object.values(projects)
    .flatMap(({ startAfter = [], jobs }) => [startAfter, ...Object.values(jobs).map((job) => job.startAfter ?? [])])
    .flat()
    .some((after) => "project" in after && after.stack === undefined);

/**
 * What is wrong with the starts of all projects together, by path: a project that is not there, and a circle, in which each
 * run would start the next for ever. Jobs count for their projects, whose runs they are.
 */
export function startProblems(projects: Readonly<Record<string, Started>>): (readonly [PropertyKey[], string])[] {
  const edges = Object.entries(projects).flatMap(([name, { startAfter = [], jobs }]) => {
    const ofJobs = Object.entries(jobs).flatMap(([job, { startAfter: after = [] }]) =>
      after.map((one, at) => ({ name, one, path: ["projects", name, "jobs", job, "startAfter", at, "project"] })),
    );
    const own = startAfter.map((one, at) => ({ name, one, path: ["projects", name, "startAfter", at, "project"] }));
    return [...own, ...ofJobs].flatMap(({ one, ...edge }) =>
      "project" in one && one.stack === undefined ? [{ ...edge, after: one.project, afterJob: one.job }] : [],
    );
  });
  const before = Map.groupBy(edges, ({ name }) => name);
  const parentsOf = (name: string) => (before.get(name) ?? []).map(({ after }) => after);
  return edges.flatMap(({ name, after, afterJob, path }) => {
    const project = Object.hasOwn(projects, after) ? projects[after] : undefined;
    if (project === undefined)
      return [[path, "is no project of this file; name the stack beside it if it is another one's."] as const];
    if (afterJob !== undefined && !Object.hasOwn(project.jobs, afterJob))
      return [[[...path.slice(0, -1), "job"], `is no job of ${after}.`] as const];
    const problem = circleProblem(name, wayBetween(after, name, parentsOf));
    return problem === null ? [] : [[path, problem] as const];
  });
}

const circleProblem = (name: string, circle: readonly string[] | null): string | null =>
  circle === null
    ? null
    : `is a circle, each run of which would start the next for ever: ${[name, ...circle].join(" ← ")}.`;

/** Starts that name this stack as if it were another one, which would be looked into for no circle. */
export function ownStackProblems(projects: Readonly<Record<string, Started>>, stackName: string): string[] {
  const problemsOf = (path: string, startAfter: readonly StartAfter[] = []) =>
    startAfter.flatMap((one, at) =>
      "project" in one && one.stack === stackName
        ? [`${path}.startAfter[${at}].stack = "${stackName}": is this stack; leave it out.`]
        : [],
    );
  return Object.entries(projects).flatMap(([name, { startAfter, jobs }]) => [
    ...problemsOf(`projects.${name}`, startAfter),
    ...Object.entries(jobs).flatMap(([job, own]) => problemsOf(`projects.${name}.jobs.${job}`, own.startAfter)),
  ]);
}

/** The projects from one back to another along what starts them; null where there is no way. */
function wayBetween(
  from: string,
  to: string,
  parentsOf: (name: string) => readonly string[],
  seen = new Set<string>(),
): readonly string[] | null {
  if (from === to) return [from];
  if (seen.has(from)) return null;
  seen.add(from);
  for (const parent of parentsOf(from)) {
    const rest = wayBetween(parent, to, parentsOf, seen);
    if (rest !== null) return [from, ...rest];
  }
  return null;
}
