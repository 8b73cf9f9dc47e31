import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  CopyObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from "@aws-sdk/client-s3";
import { ObjectTooLarge, ServiceUnavailable } from "#core/errors.ts";
import { isWrittenOnce } from "#core/names.ts";
import type { Artefacts } from "./artefacts.ts";
import { isNamed, isTransient, unavailable } from "./aws-errors.ts";
import { MAX_ATTEMPTS, transferSettings } from "./aws-settings.ts";
import { withinLimits } from "./within-limits.ts";

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";

/** Content types of what dbt and we write, so that a browser shows it. */
const TYPE_OF_EXTENSION: Readonly<Record<string, string>> = {
  ".json": JSON_TYPE,
  ".html": "text/html; charset=utf-8",
  ".log": TEXT_TYPE,
  ".sql": TEXT_TYPE,
  ".txt": TEXT_TYPE,
};

/** Wait before a file is sent again, times the attempt: 0.2, 0.4, 0.6, 0.8 s. */
const FILE_WAIT_MS = 200;

/** A container's objects are written once; the bucket's policy refuses such a write without this (infra/artefacts). */
const once = (key: string): { IfNoneMatch?: "*" } => (isWrittenOnce(key) ? { IfNoneMatch: "*" } : {});

/** What is written once and is there already stays as it is: a repeated upload is done. */
const unlessThere = (key: string) => (error: unknown) => {
  if (isWrittenOnce(key) && isNamed(error, "PreconditionFailed")) return;
  throw error;
};

const asUnavailable = (call: string, key: string) => unavailable(ServiceUnavailable, `S3 ${call} ${key}`);

/** The artefact bucket on S3. */
export function s3Artefacts(options: { bucket: string; client?: S3Client }): Artefacts {
  const { bucket: Bucket } = options;
  const client = withinLimits(options.client ?? s3Client());

  return {
    putJson: (key, value) => putText(key, JSON.stringify(value), JSON_TYPE),
    putText,

    async putFile(key, path) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await sendFile(key, path);
        } catch (error) {
          // The SDK can not send a stream twice: it is opened anew here.
          if (!isTransient(error) || attempt === MAX_ATTEMPTS) return asUnavailable("PutObject", key)(error);
          await new Promise((resolve) => setTimeout(resolve, FILE_WAIT_MS * attempt));
        }
      }
    },

    async getFile(key, path) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: key }));
        await pipeline(Body as Readable, createWriteStream(path));
        return true;
      } catch (error) {
        if (isNamed(error, "NoSuchKey", "NotFound")) return false;
        return asUnavailable("GetObject", key)(error);
      }
    },

    async readPieces(key, take) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: key }));
        for await (const bytes of Body as Readable) take(bytes as Uint8Array);
        return true;
      } catch (error) {
        if (isNamed(error, "NoSuchKey", "NotFound")) return false;
        return asUnavailable("GetObject", key)(error);
      }
    },

    async copy(from, to) {
      const CopySource = `${Bucket}/${from.split("/").map(encodeURIComponent).join("/")}`;
      try {
        await client.send(new CopyObjectCommand({ Bucket, Key: to, CopySource }));
        return true;
      } catch (error) {
        if (isNamed(error, "NoSuchKey", "NotFound")) return false;
        return asUnavailable("CopyObject", to)(error);
      }
    },

    async getJson(key, mostBytes) {
      const text = await getText(key, mostBytes);
      return text === null ? null : JSON.parse(text);
    },
    getText: (key) => getText(key),

    async list(prefix) {
      const found: { key: string; bytes: number }[] = [];
      try {
        for await (const page of paginateListObjectsV2({ client }, { Bucket, Prefix: prefix }))
          for (const { Key, Size } of page.Contents ?? []) if (Key) found.push({ key: Key, bytes: Size ?? 0 });
      } catch (error) {
        asUnavailable("ListObjectsV2", prefix)(error);
      }
      return found;
    },
  };

  async function putText(key: string, text: string, contentType = TEXT_TYPE): Promise<void> {
    const command = new PutObjectCommand({ Bucket, Key: key, Body: text, ContentType: contentType, ...once(key) });
    await client.send(command).catch(unlessThere(key)).catch(asUnavailable("PutObject", key));
  }

  async function sendFile(key: string, path: string): Promise<void> {
    const { size } = await stat(path);
    const ContentType = TYPE_OF_EXTENSION[extname(path)] ?? "application/octet-stream";
    const Body = createReadStream(path);
    try {
      const command = new PutObjectCommand({ Bucket, Key: key, Body, ContentLength: size, ContentType, ...once(key) });
      await client.send(command).catch(unlessThere(key));
    } finally {
      Body.destroy();
    }
  }

  async function getText(key: string, mostBytes = Number.POSITIVE_INFINITY): Promise<string | null> {
    try {
      const { Body, ContentLength = 0 } = await client.send(new GetObjectCommand({ Bucket, Key: key }));
      if (ContentLength > mostBytes) {
        (Body as Readable | undefined)?.destroy();
        throw new ObjectTooLarge(key, ContentLength, mostBytes);
      }
      return (await Body?.transformToString("utf-8")) ?? "";
    } catch (error) {
      if (isNamed(error, "NoSuchKey", "NotFound")) return null;
      return asUnavailable("GetObject", key)(error);
    }
  }
}

/**
 * Emulators serve buckets by path, not by host name; checksums only where S3 asks for them, since a stream would
 * otherwise travel in a framing that emulators and proxies store as content.
 */
export function s3Client(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  anyRegion = false,
): S3Client {
  const endpoint = environment.AWS_ENDPOINT_URL_S3 ?? environment.AWS_ENDPOINT_URL;
  return new S3Client({
    ...transferSettings,
    // A bucket of somebody else's may lie in another region.
    followRegionRedirects: anyRegion,
    forcePathStyle: endpoint !== undefined && endpoint !== "",
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}
