import type { TaskSize } from "#core/contracts/settings.ts";

/**
 * Memory that Fargate sells for each CPU size, in MiB: from, to, in steps of. Any other pair is refused by ECS when the
 * task definition is registered, in the middle of a deploy, hence the check before.
 */
const FARGATE_MEMORY: Readonly<Record<number, { from: number; to: number; step: number }>> = {
  256: { from: 512, to: 2048, step: 512 },
  512: { from: 1024, to: 4096, step: 1024 },
  1024: { from: 2048, to: 8192, step: 1024 },
  2048: { from: 4096, to: 16_384, step: 1024 },
  4096: { from: 8192, to: 30_720, step: 1024 },
  8192: { from: 16_384, to: 61_440, step: 4096 },
  16384: { from: 32_768, to: 122_880, step: 8192 },
};

/** Why Fargate refuses this size, as the end of a sentence; null if it sells it. 256 CPU units lack 1536 MiB only. */
export function taskSizeProblem(size: TaskSize): string | null {
  const memory = FARGATE_MEMORY[size.cpu];
  if (memory === undefined)
    return `cpu ${size.cpu} is no Fargate size: use one of ${Object.keys(FARGATE_MEMORY).join(", ")}.`;
  const sold = size.memoryMiB >= memory.from && size.memoryMiB <= memory.to && size.memoryMiB % memory.step === 0;
  const gap = size.cpu === 256 && size.memoryMiB === 1536;
  if (sold && !gap) return null;
  return (
    `Fargate has no ${size.memoryMiB} MiB with cpu ${size.cpu}: ` +
    `use ${memory.from} to ${memory.to} MiB in steps of ${memory.step}${size.cpu === 256 ? " (not 1536)" : ""}.`
  );
}
