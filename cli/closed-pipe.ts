/** 128 plus the number of SIGPIPE: what a shell says of a program whose reader has gone. */
const CLOSED_PIPE = 141;

/**
 * A reader that goes away in the middle (`| head`, a pager that was left) is no failure that anybody should read about:
 * without this Node ends with a stack trace.
 *
 * @param act what to do then; unset: end at once.
 */
export function onClosedPipe(
  streams: readonly Pick<NodeJS.WritableStream, "on">[],
  act: () => void = () => process.exit(CLOSED_PIPE),
): void {
  for (const stream of streams) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      act();
    });
  }
}
