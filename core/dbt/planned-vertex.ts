/** What the outcome of a planned vertex depends on; a plan's vertex has all of it. */
export interface PlannedVertex {
  uniqueId: string;
  resourceType: string;
  /** Planned vertices that must be good before this one is built. */
  gateParents: readonly string[];
  /** False for what dbt plans but never builds: ephemeral models, files without SQL, exposures. */
  builds: boolean;
}
