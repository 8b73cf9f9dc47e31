/** A container image as it is named: `registry/repository:tag@sha256:…`. */
export interface ImageReference {
  /** Without tag and digest. */
  readonly name: string;
  readonly tag: string | null;
  /** `sha256:` and 64 digits. */
  readonly digest: string | null;
  /** Null where it is no repository of ECR. */
  readonly ecr: EcrRepository | null;
}

/** A repository of Amazon ECR. */
export interface EcrRepository {
  readonly accountId: string;
  readonly region: string;
  readonly repository: string;
}

const REFERENCE = /^([a-z0-9][\w.-]*(?::\d+)?(?:\/[\w.-]+)*)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/i;
const ECR = /^(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)\/(.+)$/;

/** Reads an image's reference; null where it is none. */
export function parseImageReference(text: string): ImageReference | null {
  const [, name, tag, digest] = REFERENCE.exec(text) ?? [];
  if (name === undefined) return null;
  const [, accountId, region, repository] = ECR.exec(name) ?? [];
  const ecr =
    accountId === undefined || region === undefined || repository === undefined
      ? null
      : { accountId, region, repository };
  return { name, tag: tag ?? null, digest: digest ?? null, ecr };
}
