import { Construct } from "constructs";
import type { StepwatchConfig } from "#core/config.ts";
import type { FunctionName } from "../deployed-names.ts";
import type { Watched } from "./alarm-list.ts";
import { Alarms } from "./alarms.ts";
import { Dashboard } from "./dashboard.ts";
import { SavedQueries } from "./saved-queries.ts";

export interface WatchingProps extends Watched {
  readonly config: StepwatchConfig;
  /** The emulator of the embedded AWS knows neither saved queries nor alarms on sums of metrics, and measures nothing. */
  readonly local: boolean;
}

/** How a stack is watched: alarms where somebody is named to be told, a dashboard where one is wanted, saved queries. */
export class Watching extends Construct {
  constructor(scope: Construct, id: string, props: WatchingProps) {
    super(scope, id);
    const { config, local, stackName } = props;
    const projects = Object.keys(config.projects);
    if (config.alarms !== undefined && !local) new Alarms(this, "Alarms", { ...props, settings: config.alarms });
    if (config.dashboard) new Dashboard(this, "Dashboard", { ...props, projects });
    if (!local)
      new SavedQueries(this, "SavedQueries", {
        stackName,
        projects,
        functions: Object.keys(props.functions) as FunctionName[],
      });
  }
}
