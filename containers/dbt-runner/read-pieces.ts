import { open } from "node:fs/promises";

/** Bytes of one piece: of a file of 100 MB no more is in memory at once. */
const PIECE_BYTES = 128 * 1024;

/** Reads a file piece by piece, each of which holds until the next. Throws what the file system throws. */
export async function readPieces(path: string, onPiece: (bytes: Uint8Array) => void): Promise<void> {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  const file = await open(path);
  try {
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, PIECE_BYTES);
      if (bytesRead === 0) return;
      onPiece(piece.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
