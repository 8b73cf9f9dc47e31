/** The artefact bucket. Keys come from core/names. Throws `ServiceUnavailable` for throttling and network. */
export interface Artefacts {
  putJson(key: string, value: unknown): Promise<void>;
  putFile(key: string, path: string): Promise<void>;
  /** Writes the object into a file, as it is. False if there is no such object. */
  getFile(key: string, path: string): Promise<boolean>;
  putText(key: string, text: string, contentType?: string): Promise<void>;
  /** Null if there is no such object. */
  getJson(key: string): Promise<unknown | null>;
  getText(key: string): Promise<string | null>;
  list(prefix: string): Promise<{ key: string; bytes: number }[]>;
}
