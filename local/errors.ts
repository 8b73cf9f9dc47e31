/** What keeps the embedded AWS from starting or stopping; the message is a sentence for the person at the terminal. */
export class EmbeddedAwsError extends Error {
  override readonly name: string = "EmbeddedAwsError";
}

/** A variable that fixes a port holds something else. Nothing has been started. */
export class PortSettingError extends EmbeddedAwsError {
  override readonly name = "PortSettingError";
}

/** A port that was asked for by name is taken. */
export class PortInUseError extends EmbeddedAwsError {
  override readonly name = "PortInUseError";
  readonly port: number;

  constructor(port: number, setting: string) {
    super(
      `Port ${port} (from ${setting}) is in use: stop the program that listens on it, set ${setting} to another port, or unset it to get a free one.`,
    );
    this.port = port;
  }
}

/** A Python environment can not be made; no AWS is involved. */
export class PythonEnvironmentError extends Error {
  override readonly name = "PythonEnvironmentError";
}
