/**
 * Where the server is: at the root of its host, or below a path, as `RILL_BELOW` says.
 *
 * `bare` is below a path without a proxy. `nginx-keeps` and `nginx-removes` put an nginx in front, which passes the path
 * on or removes it. So every test can run in each of these ways.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const WAYS = ["root", "bare", "nginx-keeps", "nginx-removes"] as const;
const way = WAYS.find((way) => way === (process.env["RILL_BELOW"] || "root"));
if (!way) throw new Error(`RILL_BELOW must be one of ${WAYS.join(", ")}`);

/** The path below which the server is, without a slash at its end. */
export const BASE = way === "root" ? "" : "/tools/chat";

/** A proxy in front of the server, or none. */
export class Front {
  private constructor(
    /** The port that browsers use. */
    readonly port: number,
    private readonly proxy?: ChildProcess,
  ) {}

  /** Puts a proxy, if there is to be one, at the free port `own` in front of the server at the other port. */
  static async before(port: number, own: number, folder: string): Promise<Front> {
    if (way === "root" || way === "bare") return new Front(port);
    const files = join(folder, "nginx");
    mkdirSync(files);
    writeFileSync(join(files, "nginx.conf"), settings(port, own, way === "nginx-removes"));
    const proxy = spawn("nginx", ["-p", files, "-c", "nginx.conf", "-e", "error.log"], { stdio: "ignore" });
    await Promise.race([reachable(own), once(proxy, "exit").then(() => Promise.reject(new Error("nginx ended at once")))]);
    return new Front(own, proxy);
  }

  /** The flags of the server that tell it where it is. */
  get flags(): string[] {
    return way === "root" ? [] : ["--public-url", `http://127.0.0.1:${this.port}${BASE}/`];
  }

  async close(): Promise<void> {
    if (!this.proxy || this.proxy.exitCode !== null) return;
    const exit = once(this.proxy, "exit");
    this.proxy.kill("SIGTERM");
    await exit;
  }
}

/** The settings that the README recommends. */
function settings(port: number, own: number, removes: boolean): string {
  return `daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 512; }
http {
  access_log off;
  absolute_redirect off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${own};
    location ${BASE}/ {
      proxy_pass http://127.0.0.1:${port}${removes ? "/" : ""};
      proxy_set_header Host $http_host;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 120s;
    }
  }
}
`;
}

async function reachable(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(() => true, () => false);
    socket.destroy();
    if (isOpen) return;
    await pause(5);
  }
}
