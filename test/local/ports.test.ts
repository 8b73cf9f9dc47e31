import { createServer } from "node:net";
import { expect, test } from "vitest";
import { listen, portFrom, reservePort } from "#local/emulator/ports.ts";

test("a port comes from its variable, or is left open", () => {
  expect(portFrom({}, "P")).toBeUndefined();
  expect(portFrom({ P: "" }, "P")).toBeUndefined();
  expect(portFrom({ P: "4566" }, "P")).toBe(4566);
});

test.each(["0", "65536", "x", "1.5", "-1"])("%s is no port, and the sentence names the variable", (value) => {
  expect(() => portFrom({ P: value }, "P")).toThrow(`P is "${value}", which is no port`);
});

test("a taken port is named with the variable that asked for it", async () => {
  const server = createServer();
  const port = await listen(server, undefined, "P");
  await expect(reservePort(port, "P")).rejects.toMatchObject({
    name: "PortInUseError",
    port,
    message: `Port ${port} (from P) is in use: stop the program that listens on it, set P to another port, or unset it to get a free one.`,
  });
  server.close();
});
