import type { RunInput } from "#core/contracts/run-input.ts";
import type { Policy, ProjectSettings } from "#core/contracts/settings.ts";
import type { BuildOptions } from "#core/dbt/argv.ts";
import { InputError } from "#core/errors.ts";
import { earlyBackupRefused, earlyRefused, oneWriter } from "#core/run/deciding/early-refusal.ts";

/**
 * Refuses `recovery: early` where it is known by now that it can not be had (behaviour G19); what only dbt can tell the
 * plan says, and the run recovers after its builds then.
 * @throws InputError
 */
export function refuseEarly(settings: ProjectSettings, input: RunInput, policy: Policy, options: BuildOptions): void {
  const failFast = earlyRefused(policy, options);
  if (failFast !== null) throw new InputError("Run input refused", [`failFast = true: ${failFast}`]);
  const backup = earlyBackupRefused(policy);
  if (backup !== null) throw new InputError("Run input refused", [`policy.backup = "end": ${backup}`]);
  const namesAnother = input.target !== undefined || input.profile !== undefined;
  if (policy.recovery !== "early" || settings.singleWriter === undefined || namesAnother) return;
  throw new InputError("Run input refused", [`policy.recovery = "early": ${oneWriter(settings.singleWriter)}`]);
}
