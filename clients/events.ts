import type { RunEvent } from "#core/contracts/events.ts";

/** The default event bus of the account. */
export interface Events {
  /**
   * Publishes events, at least once each. Throws `ServiceUnavailable` if some are still refused for load or network
   * after all attempts; any other error (no permission, say) as it is.
   */
  publish(events: readonly RunEvent[]): Promise<void>;
}
