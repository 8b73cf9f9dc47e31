import { DescribeImagesCommand, ECRClient } from "@aws-sdk/client-ecr";
import { InputError } from "#core/errors.ts";
import { type EcrRepository, parseImageReference } from "#core/image-reference.ts";

/** What ECR says of a tag now. @throws the SDK's error */
export type DigestOfTag = (repository: EcrRepository, tag: string) => Promise<string | undefined>;

/**
 * An image by its digest, whatever it was named by: what a tag names may change while a run is live.
 * @param field of stepwatch.yaml or the command line, for the sentence.
 * @throws {InputError} if the tag can not be looked up.
 */
export async function byDigest(field: string, uri: string, digestOfTag: DigestOfTag = askEcr): Promise<string> {
  const refused = (sentence: string, cause?: unknown) =>
    new InputError("The image can not be used", [`${field} = "${uri}": ${sentence}`], { cause });
  const reference = parseImageReference(uri);
  if (reference === null) throw refused("is no image: write it as registry/repository:tag or …@sha256:….");
  const { name, tag, digest, ecr } = reference;
  if (digest !== null) return `${name}@${digest}`;
  if (tag === null || ecr === null)
    throw refused("names no digest, and only a tag of ECR can be looked up: write it with its digest (@sha256:…).");
  try {
    const found = await digestOfTag(ecr, tag);
    if (found !== undefined) return `${name}@${found}`;
  } catch (error) {
    throw refused(
      `its digest can not be looked up (ecr:DescribeImages in ${ecr.region}): ${(error as Error).message}`,
      error,
    );
  }
  throw refused(`${ecr.repository} has no image with the tag ${tag}.`);
}

async function askEcr({ accountId, region, repository }: EcrRepository, tag: string): Promise<string | undefined> {
  const client = new ECRClient({ region });
  try {
    const { imageDetails = [] } = await client.send(
      new DescribeImagesCommand({ registryId: accountId, repositoryName: repository, imageIds: [{ imageTag: tag }] }),
    );
    return imageDetails[0]?.imageDigest;
  } finally {
    client.destroy();
  }
}
