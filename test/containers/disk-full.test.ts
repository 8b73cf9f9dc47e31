import { expect, test } from "vitest";
import { EXIT } from "../../containers/dbt-runner/exit-codes.ts";
import { bench } from "./bench.ts";

/** As the system says it of a disk, or of a quota on it. */
const noSpace = (code: string) => Object.assign(new Error(`${code}: no space left on device, mkdir`), { code });

test.each(["ENOSPC", "EDQUOT"])(
  "D3: a full disk (%s) is the recorded end at once, told from memory, and no reason to begin again",
  async (code) => {
    const it = await bench({ script: {}, makeFolders: () => Promise.reject(noSpace(code)) });
    try {
      expect(await it.container()).toBe(EXIT.recorded);
      const { state, end } = await it.task();
      expect(state).toBe("over");
      expect(end).toMatchObject({ inOrder: false, retryableLaunch: false, cause: { kind: "disk_full" } });
      expect(end?.cause.sentence).toMatch(/^No space left in .*work, the container's work folder\.$/);
      expect(end?.cause.nextStep).toContain("ephemeral storage");
      expect(it.noted().filter((one) => one.argv?.includes("build"))).toEqual([]);
    } finally {
      it.remove();
    }
  },
);
