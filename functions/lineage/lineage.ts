import { eventDetailSchemas } from "#core/contracts/events.ts";
import type { LineageSettings } from "#core/contracts/lineage.ts";
import { LINEAGE_TYPES, type LineageSource, lineageEvents } from "#core/run/lineage/open-lineage.ts";

export interface LineageDeps {
  readonly settings: LineageSettings;
  /** Posts one event, with this bearer token where there is one. */
  readonly post: (url: string, event: object, token: string | null) => Promise<void>;
  readonly readSecret: (reference: string) => Promise<string>;
}

/** An event as EventBridge hands it on. */
export interface GivenEvent {
  readonly "detail-type": string;
  readonly time: string;
  readonly detail: unknown;
}

/** Tells a lineage service of one event of ours. Twice for one event posts the same ids twice, which such a service joins. */
export async function lineage(given: GivenEvent, { settings, post, readSecret }: LineageDeps): Promise<void> {
  const type = LINEAGE_TYPES.find((one) => one === given["detail-type"]);
  if (type === undefined) return;
  const source = { "detail-type": type, time: given.time, detail: eventDetailSchemas[type].parse(given.detail) };
  const events = lineageEvents(source as LineageSource, settings);
  if (events.length === 0) return;
  const token = settings.apiKeySecret === undefined ? null : await readSecret(settings.apiKeySecret);
  for (const event of events) await post(settings.url, event, token);
}
