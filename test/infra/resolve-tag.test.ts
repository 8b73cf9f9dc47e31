import { describe, expect, test } from "vitest";
import { parseImageReference } from "../../core/image-reference.ts";
import { byDigest } from "../../infra/resolve-tag.ts";

const DIGEST = `sha256:${"d".repeat(64)}`;
const REPOSITORY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/teams/dbt-shop";

describe("D16: an image of one's own is used by its digest", () => {
  test("a digest is taken as it is, and a tag beside it is dropped: nobody is asked", async () => {
    const nobody = async () => Promise.reject(new Error("asked"));
    expect(await byDigest("image", `ghcr.io/acme/dbt:v1@${DIGEST}`, nobody)).toBe(`ghcr.io/acme/dbt@${DIGEST}`);
  });

  test("a tag of ECR is looked up in its own account and region", async () => {
    const asked: unknown[] = [];
    const found = await byDigest("image", `${REPOSITORY}:main`, async (...question) => {
      asked.push(question);
      return DIGEST;
    });
    expect(found).toBe(`${REPOSITORY}@${DIGEST}`);
    expect(asked).toEqual([
      [{ accountId: "123456789012", region: "eu-central-1", repository: "teams/dbt-shop" }, "main"],
    ]);
  });

  test.each([
    [`${REPOSITORY}:gone`, async () => undefined, /image = ".*:gone": teams\/dbt-shop has no image with the tag gone/],
    [
      `${REPOSITORY}:main`,
      async () => Promise.reject(new Error("AccessDenied")),
      /can not be looked up .*AccessDenied/,
    ],
    ["ghcr.io/acme/dbt:v1", async () => DIGEST, /only a tag of ECR can be looked up/],
    [REPOSITORY, async () => DIGEST, /names no digest/],
    ["what ever", async () => DIGEST, /is no image/],
  ])("%s that stays a tag is refused by one sentence", async (uri, ask, sentence) => {
    await expect(byDigest("image", uri, ask)).rejects.toThrow(sentence);
  });
});

test.each([
  ["python", { name: "python", tag: null, digest: null, ecr: null }],
  ["localhost:5000/a/b:1.2", { name: "localhost:5000/a/b", tag: "1.2", digest: null, ecr: null }],
  [`a/b@${DIGEST}`, { name: "a/b", tag: null, digest: DIGEST, ecr: null }],
  ["a/b@sha256:12", null],
  ["https://a/b", null],
  ["a/b:", null],
])("%s is read as its parts", (text, expected) => expect(parseImageReference(text)).toEqual(expected));
