import { spawn } from "node:child_process";

/**
 * Stands in for a container's entry point: `run-in-engine.ts <engine> <image> <options of run …>` starts the image in a
 * real container engine, with the environment that the embedded ECS gave this process, and ends as the container does.
 */
const [engine = "docker", image = "", ...options] = process.argv.slice(2);

/** Of this machine, not of the container. */
const OWN = /^(PATH|HOME|LANG|TMPDIR|XDG_RUNTIME_DIR|DOCKER_.*|CONTAINER_HOST)$/;
const passed = Object.keys(process.env)
  .filter((name) => !OWN.test(name))
  .flatMap((name) => ["--env", name]);

// The engine's client hands signals on to the container, whose end is ours. Listened to before it is there: a stop that
// comes at once must not end us without it.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => child.kill(signal));
const child = spawn(engine, ["run", "--rm", "--init", "--network", "host", ...options, ...passed, image], {
  stdio: "inherit",
});
child.once("error", (error) => {
  process.stderr.write(`${engine} can not be started: ${error.message}\n`);
  process.exitCode = 127;
});
child.once("close", (code) => {
  process.exitCode ??= code ?? 137;
});
