import { describe, expect, it } from "vitest";
import { parseConfig } from "#core/config.ts";
import { runEndedDetailSchema } from "#core/contracts/events.ts";
import { InputError } from "#core/errors.ts";
import { eventStart } from "#core/start-after.ts";

const config = (projects: Record<string, object>, more: object = {}) =>
  parseConfig(
    {
      ...more,
      projects: Object.fromEntries(
        Object.entries(projects).map(([name, more]) => [name, { projectDir: name, ...more }]),
      ),
    },
    "/",
    (_folder, path) => path,
  );

function problems(projects: Record<string, object>): readonly string[] {
  try {
    config(projects);
    return [];
  } catch (error) {
    if (error instanceof InputError) return error.problems;
    throw error;
  }
}

const follows = (...starts: unknown[]) => ({ startAfter: starts });

describe("startAfter", () => {
  it("takes another project's green run, an object of S3 and any event, of a project and of a job", () => {
    const starts = [
      { project: "raw" },
      { s3: { bucket: "landing", prefix: "orders/" } },
      { event: { source: ["my.app"] } },
    ];
    const { shop } = config({
      raw: {},
      shop: { startAfter: starts, jobs: { daily: follows({ project: "raw" }) } },
    }).projects;
    expect(shop!.startAfter).toEqual(starts);
    expect(shop!.jobs.daily!.startAfter).toEqual([{ project: "raw" }]);
  });

  it.each([
    [follows({ project: "nowhere" }), 'projects.shop.startAfter[0].project = "nowhere": is no project of this file'],
    [follows({ project: "raw", job: "gone" }), 'projects.shop.startAfter[0].job = "gone": is no job of raw.'],
    [follows({ file: "x" }), "is none of {project: …}"],
    [follows({ s3: { bucket: "A" } }), 'startAfter[0].s3.bucket = "A": is no name of a bucket.'],
    [follows({ event: { detail: { a: ["b"] } } }), "names neither source nor detail-type"],
    [{ startAfter: [] }, "startAfter"],
    [{ jobs: { daily: follows({ project: "gone" }) } }, 'jobs.daily.startAfter[0].project = "gone"'],
    [follows({ project: "shop" }), "is a circle, each run of which would start the next for ever: shop ← shop."],
    [{ jobs: { daily: follows({ project: "shop" }) } }, "shop ← shop"],
    [{ jobs: { daily: { lock: "schema", ...follows({ project: "raw" }) } } }, "needs lockKey beside it"],
  ])("refuses %j by one sentence", (shop, words) => {
    expect(problems({ raw: {}, shop }).join("\n")).toContain(words);
  });

  it("refuses a circle through several projects where each stands, and takes what only meets again", () => {
    const circle = problems({
      a: follows({ project: "c" }),
      b: follows({ project: "a" }),
      c: follows({ project: "b" }),
    });
    expect(circle).toHaveLength(3);
    expect(circle[0]).toContain("a ← c ← b ← a");
    const diamond = { a: {}, b: follows({ project: "a" }), c: follows({ project: "a" }) };
    expect(problems({ ...diamond, d: follows({ project: "b" }, { project: "c" }) })).toEqual([]);
    expect(problems({ a: follows({ project: "a", stack: "other" }) })).toEqual([]);
  });

  it("refuses its own stack as another one: a circle through it would start runs for ever", () => {
    const words = 'startAfter[0].stack = "prod": is this stack; leave it out.';
    const own = follows({ project: "shop", stack: "prod" });
    expect(() => config({ shop: own }, { stackName: "prod" })).toThrow(`projects.shop.${words}`);
    expect(() => config({ shop: { jobs: { daily: own } } }, { stackName: "prod" })).toThrow(
      `projects.shop.jobs.daily.${words}`,
    );
    expect(() => config({ shop: own }, { stackName: "dev" })).not.toThrow();
  });

  it("hears of a project of its own stack where that publishes the ends of runs", () => {
    const events = { events: { publish: "warnings" } };
    const words = 'events.publish = "warnings": startAfter of a project hears of the ends of its runs';
    expect(() => config({ raw: {}, shop: follows({ project: "raw" }) }, events)).toThrow(words);
    expect(() => config({ shop: follows({ project: "raw", stack: "other" }) }, events)).not.toThrow();
    const { project, state, stack, kind, id, job, asConfigured } = runEndedDetailSchema.shape;
    expect([project, state, stack, kind, id, job, asConfigured], "what the pattern and the key read").not.toContain(
      undefined,
    );
  });

  it("is a pattern of EventBridge, and names an event by what is safe in JSON: never by an object's key", () => {
    expect(eventStart({ project: "raw" }, "prod")).toMatchObject({
      pattern: {
        ...{ source: ["stepwatch"], "detail-type": ["Run ended"] },
        detail: { project: ["raw"], state: ["green"], stack: ["prod"], kind: ["build"], asConfigured: [true] },
      },
      identity: ["$.detail.id"],
    });
    expect(eventStart({ project: "raw", stack: "other" }, "prod").pattern).toMatchObject({
      detail: { stack: ["other"] },
    });
    expect(eventStart({ project: "raw", job: "nightly" }, "prod")).toMatchObject({
      pattern: { detail: { project: ["raw"], job: ["nightly"] } },
      words: "a green run of the job nightly of raw",
    });
    expect(eventStart({ s3: { bucket: "landing", prefix: "a/" } }, "prod")).toMatchObject({
      pattern: {
        ...{ source: ["aws.s3"], "detail-type": ["Object Created"] },
        detail: { bucket: { name: ["landing"] }, object: { key: [{ prefix: "a/" }] } },
      },
      identity: ["$.detail.bucket.name", "$.detail.object.sequencer"],
    });
  });
});
