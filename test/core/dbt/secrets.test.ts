import { describe, expect, it } from "vitest";
import { buildEnded } from "#core/dbt/build-end.ts";
import { maskerOf, secretsOf, unreadableSecret, unreadableSentence } from "#core/dbt/secrets.ts";
import { line, result, start, stats, version } from "../../support/dbt-lines.ts";
import { readLines } from "../../support/read-recording.ts";

const A = "model.p.a";
const refused = (value: string, names: string[] = []) =>
  unreadableSecret(secretsOf({ DBT_ENV_SECRET_X: value }), names)?.why ?? null;

describe("A22: secrets that would mask dbt's own log", () => {
  it("are the variables that dbt masks and no other", () => {
    const env = { DBT_ENV_SECRET_B: "b", DBT_ENV_SECRET_A: "a", DBT_ENV_SECRET_EMPTY: " ", DBT_SECRET: "x", PATH: "y" };
    expect(secretsOf(env).map((one) => one.variable)).toEqual(["DBT_ENV_SECRET_A", "DBT_ENV_SECRET_B"]);
  });

  it.each(["1", "dev", "admin", "12345", "54321987"])("%s is too short", (value) => {
    expect(refused(value)).toMatch(/fewer than/);
  });

  it.each([
    "unique_id",
    "success",
    "LogModelResult",
    "node_info",
    "snapshot",
    '"status": "',
    '}, "info": {"',
    '","level":"',
    "ModelR",
  ])("%s stands in dbt's own words", (value) => expect(refused(value)).toMatch(/own words/));

  it("of an id is refused by the names of the project, and none else", () => {
    const names = ["orders.sql", "name: stg_customers", "jaffle_shop"];
    expect(refused("orders", names)).toMatch(/names of this project/);
    expect(refused("customers", names)).toMatch(/names of this project/);
    expect(refused("correct horse battery", names)).toBeNull();
    expect(refused("s3cr3t", names)).toBeNull();
  });

  it("the sentence names the variable and never the value", () => {
    const secret = unreadableSecret(secretsOf({ DBT_ENV_SECRET_SCHEMA: "orders" }), ["orders.sql"]);
    expect(unreadableSentence(secret!)).toMatch(/DBT_ENV_SECRET_SCHEMA stands in the names/);
    expect(unreadableSentence(secret!)).not.toContain("orders");
  });
});

describe("A22: masked lines", () => {
  const endOf = (lines: string[]) =>
    buildEnded(readLines([version("1.11.16"), ...lines, stats()]), { exitCode: 0, signal: null, signalledByUs: false });

  it("with a masked id are of no vertex, and a build that has them did not end in order", () => {
    const lines = [start("model.p.***** "), result("model.p.stg_*****", "success")];
    expect(readLines([version("1.11.16"), ...lines]).vertices.size).toBe(0);
    expect(endOf(lines)).toMatchObject({ inOrder: false, cause: { kind: "environment" } });
  });

  it("that are no JSON any more are noticed", () => {
    const broken = result(A, "success").replace('"node_status":"', '"node_stat*****');
    expect(() => JSON.parse(broken) as unknown).toThrow();
    expect(endOf([start(A), broken])).toMatchObject({ inOrder: false });
    expect(endOf([start(A), result(A, "success")])).toMatchObject({ inOrder: true });
  });

  it("with a mask in a text alone are read as they are", () => {
    const log = readLines([
      result(A, "error"),
      line({ name: "RunResultError", id: A, data: { msg: "role ***** is not" } }),
    ]);
    expect(log.vertices.get(A)).toMatchObject({ class: "failed", message: "role ***** is not" });
  });
});

describe("A22: what dbt does not mask itself", () => {
  const python = (text: string) =>
    JSON.stringify(text).replace(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );

  it.each(['pa"ss"word', "pass\\word\\x", "pässwörd", "schlüssel🔑!", "two\nlines of a key\nwhich is a long one"])(
    "%j is masked, plain and in JSON of either writing, and JSON stays JSON",
    (value) => {
      const mask = maskerOf(secretsOf({ DBT_ENV_SECRET_X: value }));
      const inner = (of: (text: string) => string) => of(`before ${value} behind`);
      for (const text of [inner(JSON.stringify), inner(python), inner((one) => JSON.stringify(JSON.stringify(one)))]) {
        const masked = mask(`{"info": {"msg": ${text}}}`);
        expect(JSON.parse(masked)).toBeTruthy();
        expect(masked).toContain("before ***** behind");
      }
      expect(mask(`it is ${value}`)).toBe("it is *****");
    },
  );

  it("a secret within another leaves nothing of it", () => {
    const mask = maskerOf(secretsOf({ DBT_ENV_SECRET_A: "hunter2", DBT_ENV_SECRET_B: "hunter2-and-more" }));
    expect(mask("hunter2-and-more hunter2")).toBe("***** *****");
  });
});
