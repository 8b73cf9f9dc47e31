import { readFileSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { READ_BY_DBT } from "./project-paths.ts";

const KEY_NAME =
  /^(\.env.*|.+\.env|\.netrc|_netrc|\.pgpass|\.git-credentials|\.pypirc|\.npmrc|\.htpasswd|\.databrickscfg|\.boto|\.s3cfg|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|credentials|credentials\.(json|ini|toml|txt)|application_default_credentials\.json|dbt_cloud\.ya?ml|.+\.(p12|pfx|p8|key|ppk|jks|keystore|kdbx|tfstate|tfvars))$/i;

const KEY_FOLDER = /^\.(aws|ssh|gnupg|azure|gcloud|snowflake)$/i;

const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY/;
const SECRET_TEXT = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY|^\s*aws_secret_access_key\s*=/m;
const SECRET_JSON =
  /"(type"\s*:\s*"(service_account|authorized_user|external_account)|private_key"|client_secret"|refresh_token")/;

/** Keys are short; a long file is data. */
const LONGEST_KEY_BYTES = 256 * 1024;

/**
 * Whether a file is a key, a password file or an `.env`: an image is pulled by more people than should have them. By its
 * name, or by what stands in it; a `.pem` of certificates alone is no key.
 * @param isSource whether it lies below a path that dbt reads
 */
export function isKeyFile(file: string, isSource: boolean): boolean {
  const name = basename(file);
  // `models/credentials.yml` describes a model.
  if (READ_BY_DBT.test(name) && (isSource || !KEY_NAME.test(name))) return !isSource && isInKeyFolder(file);
  if (KEY_NAME.test(name) || isInKeyFolder(file)) return true;
  const text = shortText(file);
  if (/\.(pem|crt|cer)$/i.test(name)) return PRIVATE_KEY.test(text) || (/\.pem$/i.test(name) && !isCertificate(text));
  return SECRET_TEXT.test(text) || (/\.json$/i.test(name) && SECRET_JSON.test(text));
}

const isInKeyFolder = (file: string) => KEY_FOLDER.test(basename(dirname(file)));

const isCertificate = (text: string) => /-----BEGIN ([A-Z0-9 ]*CERTIFICATE|PUBLIC KEY)/.test(text);

function shortText(file: string): string {
  return statSync(file).size > LONGEST_KEY_BYTES ? "" : readFileSync(file, "latin1");
}
