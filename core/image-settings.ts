import { z } from "zod";
import { parseImageReference } from "#core/image-reference.ts";

const digestSchema = z
  .string()
  .refine(
    (text) => typeof parseImageReference(text)?.digest === "string",
    "names no digest: write the image as name@sha256:…, since what a tag names may change under a run.",
  );

/** An image of one's own: by digest, or by a tag of ECR, which is looked up when the stack is deployed. */
const uriSchema = z.string().superRefine((text, context) => {
  const complain = (message: string) => context.addIssue({ code: "custom", message });
  const reference = parseImageReference(text);
  if (reference === null) return complain("is no image: write it as registry/repository:tag or …@sha256:….");
  if (reference.digest !== null) return;
  if (reference.tag === null) return complain("names neither a digest nor a tag: add one of them.");
  if (reference.ecr === null)
    return complain(
      "is a tag outside ECR, which can not be looked up at deploy: write the image's digest (@sha256:…).",
    );
});

/** `image` of a project: what its image is made of, or the image itself. */
export const imageSchema = z
  .strictObject({
    uri: uriSchema.optional(),
    /** Python and glibc, by digest; unset: the Dockerfile's. */
    base: digestSchema.optional(),
    /** Where `/usr/local/bin/node` is taken from, by digest; unset: the Dockerfile's. */
    node: digestSchema.optional(),
    /** The container's root file system can not be written; /tmp and the home folder can. */
    readOnly: z.boolean().default(false),
    /** Variables of the image's build that no layer keeps: each from a variable of the shell that deploys, or a file. */
    buildSecrets: z
      .record(
        z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is no name of an environment variable (letters, digits and _)."),
        z
          .string()
          .regex(
            /^([A-Za-z_][A-Za-z0-9_]*|[./].+)$/,
            "names neither a variable of the shell that deploys nor a file (its path begins with / or .).",
          ),
      )
      .default({}),
  })
  .superRefine(({ uri, base, node, buildSecrets }, context) => {
    if (uri === undefined) return;
    const others = { base, node, ...(Object.keys(buildSecrets).length > 0 && { buildSecrets }) };
    for (const [name, value] of Object.entries(others))
      if (value !== undefined)
        context.addIssue({ code: "custom", path: [name], message: "has no meaning with uri: that image is built." });
  });
export type ImageSettings = z.infer<typeof imageSchema>;
