import { counted } from "#core/counted.ts";
import type { PlanLimit, RunForecast } from "../commands/plan.ts";
import { costText } from "./cost-text.ts";
import { nodeName } from "./node-table.ts";
import { cut, duration } from "./style.ts";

/** Columns of a level's line. */
const WIDTH = 100;

/** What a run would be like, for people. */
export function planText(project: string, told: RunForecast): string[] {
  const { vertices, widths, cost, limits, warnings } = told;
  if (vertices.length === 0) return [`${project}: nothing is selected.`];
  return [
    `${project}: ${counted(vertices.length, "vertex", "vertices")} (${typesOf(told)}) in ${counted(widths.length, "level")}, ${Math.max(...widths)} at most beside each other`,
    `  ${timeText(told)}`,
    ...(cost === null ? [] : [`  ${costText(cost)}`]),
    ...limits.filter(({ fits }) => !fits).map((limit) => `  beyond ${limitText(limit)}`),
    ...warnings.map((warning) => `  warning  ${warning}`),
    "",
    ...widths.map((_, at) => levelLine(told, at + 1)),
  ];
}

function typesOf({ vertices }: RunForecast): string {
  const types = Map.groupBy(vertices, ({ resourceType }) => resourceType.replace("_", " "));
  return [...types].map(([type, some]) => counted(some.length, type)).join(", ");
}

function timeText({ wallMs, longestMs, threads, threadsFrom, timesOf, unknown }: RunForecast): string {
  if (wallMs === null || longestMs === null) return "time not known: no green run of it has left its times";
  const width = `${counted(threads, "thread")}${threadsFrom === "options" ? "" : " (as it had)"}`;
  const guessed = unknown === 0 ? "" : `; ${counted(unknown, "vertex", "vertices")} never measured, guessed by type`;
  return `time about ${duration(wallMs)} with ${width}, by the run ${timesOf}; the longest way takes ${duration(longestMs)}${guessed}`;
}

const limitText = ({ name, needs, has }: PlanLimit): string => `${name}: ${needs}, and ${has} are to be had`;

function levelLine({ vertices }: RunForecast, level: number): string {
  const names = vertices.filter((vertex) => vertex.level === level).map(({ uniqueId }) => nodeName(uniqueId));
  return cut(`${String(level).padStart(4)}  ${String(names.length).padStart(5)}  ${names.join(" ")}`, WIDTH);
}
