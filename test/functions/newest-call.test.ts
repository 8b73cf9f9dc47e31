import { expect, it } from "vitest";
import { newestCall } from "../../functions/newest-call.ts";

/** Calls that end when they are told to, and the order in which they begin. */
function calls() {
  const begun: string[] = [];
  const ends = new Map<string, { resolve: (answer: string) => void; reject: (error: Error) => void }>();
  const inTurn = newestCall();
  const make = (about: string, name: string) =>
    inTurn(about, () => {
      begun.push(name);
      const { promise, ...end } = Promise.withResolvers<string>();
      ends.set(name, end);
      return promise;
    });
  const rest = () => new Promise((resolve) => setImmediate(resolve));
  return { begun, ends, make, rest };
}

it("F13: a call that comes while one is under way is made after it, not dropped: its token would wait for an hour", async () => {
  const { begun, ends, make, rest } = calls();
  const first = make("a", "first");
  const second = make("a", "second");
  const other = make("b", "other");
  await rest();
  expect(begun).toEqual(["first", "other"]);
  ends.get("first")!.resolve("one");
  await rest();
  expect(begun).toEqual(["first", "other", "second"]);
  ends.get("second")!.resolve("two");
  ends.get("other")!.resolve("three");
  expect(await Promise.all([first, second, other])).toEqual(["one", "two", "three"]);
});

it("F13: of those that wait the newest stands for all, and one that fails keeps none from its turn", async () => {
  const { begun, ends, make, rest } = calls();
  const first = make("a", "first");
  const [second, third] = [make("a", "second"), make("a", "third")];
  ends.get("first")!.reject(new Error("refused"));
  await expect(first).rejects.toThrow("refused");
  await rest();
  expect(begun).toEqual(["first", "third"]);
  expect(await second).toBeUndefined();
  const fourth = make("a", "fourth");
  ends.get("third")!.resolve("three");
  await rest();
  ends.get("fourth")!.resolve("four");
  expect(await Promise.all([third, fourth])).toEqual(["three", "four"]);
});
