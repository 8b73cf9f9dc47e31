/** The artefact bucket. Keys come from core/names. Throws `ServiceUnavailable` for throttling and network. */
export interface Artefacts {
  putJson(key: string, value: unknown): Promise<void>;
  putFile(key: string, path: string): Promise<void>;
  /** Writes the object into a file, as it is. False if there is no such object. */
  getFile(key: string, path: string): Promise<boolean>;
  /** The object, piece by piece, as it comes. False if there is no such object. */
  readPieces(key: string, take: (bytes: Uint8Array) => void): Promise<boolean>;
  /** Copies an object within the bucket, without its bytes passing here. False if there is none. */
  copy(from: string, to: string): Promise<boolean>;
  putText(key: string, text: string, contentType?: string): Promise<void>;
  /** Null if there is no such object. Throws `ObjectTooLarge` without reading one of more than `mostBytes`. */
  getJson(key: string, mostBytes?: number): Promise<unknown | null>;
  getText(key: string): Promise<string | null>;
  list(prefix: string): Promise<{ key: string; bytes: number }[]>;
}
