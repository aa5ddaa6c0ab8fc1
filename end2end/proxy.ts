/**
 * A proxy between browser and server that does what some do: it passes the headers on at once and holds
 * the body back, or it loses an answer after the server has accepted the request.
 */
import { once } from "node:events";
import { createServer, request as ask, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import type { Rill } from "./rill.ts";

export class Proxy {
  /** How long a body is held back; then it comes in bursts of that length. */
  holdMs = 0;
  /** How many answers to messages are lost on their way back. */
  lose = 0;

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async before(rill: Rill): Promise<Proxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy = new Proxy(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}${rill.base}`);
    const { host, hostname, port } = new URL(rill.url);
    server.on("request", (request, response) => {
      const headers = { ...request.headers, host, ...(request.headers.origin ? { origin: rill.origin } : {}) };
      const onward = ask({ hostname, port, path: request.url, method: request.method, headers }, (answer) => {
        if (request.url?.endsWith("/messages") && proxy.lose > 0) {
          proxy.lose -= 1;
          answer.destroy();
          response.destroy();
          return;
        }
        response.writeHead(answer.statusCode!, answer.headers);
        response.flushHeaders();
        const isStream = answer.headers["content-type"]?.startsWith("text/event-stream") ?? false;
        if (!isStream || proxy.holdMs === 0) {
          answer.pipe(response);
          return;
        }
        let held: Buffer[] = [];
        const burst = setInterval(() => {
          for (const chunk of held) response.write(chunk);
          held = [];
        }, proxy.holdMs);
        answer.on("data", (chunk: Buffer) => held.push(chunk));
        answer.on("close", () => {
          clearInterval(burst);
          for (const chunk of held) response.write(chunk);
          response.end();
        });
      });
      onward.on("error", () => response.destroy());
      response.on("close", () => onward.destroy());
      request.pipe(onward);
    });
    return proxy;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}
