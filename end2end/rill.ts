/**
 * The server under test: the release binary as a process of its own, on a free port.
 *
 * It is started in an empty folder, so that no `.env` of the checkout can reach it, and with no
 * environment but what a test gives it.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { BASE, Front } from "./front.ts";

/** The key that the server holds. It must not appear anywhere else. */
export const KEY = "sk-test-SECRET";

const root = resolve(import.meta.dirname, "..");
const binary = resolve(import.meta.dirname, process.env["RILL_BIN"] ?? join(root, "target/release/rill"));
const siteRoot = resolve(import.meta.dirname, process.env["RILL_SITE"] ?? join(root, "target/site"));

/** How long the server may take until it answers. It needs far less; a busy machine may not. */
const START_MS = 10_000;

export class Rill {
  private output = "";

  private child: ChildProcess;

  private constructor(
    private readonly folder: string,
    private readonly port: number,
    private readonly front: Front,
    private readonly flags: string[],
    private readonly environment: Record<string, string>,
  ) {
    this.child = this.spawn();
  }

  /** Starts the server and waits until it answers. */
  static async start(flags: string[], environment: Record<string, string>): Promise<Rill> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), "rill-end2end-"));
    const front = await Front.before(port, await freePort(), folder);
    const rill = new Rill(folder, port, front, flags, environment);
    try {
      await rill.answers();
    } catch (error) {
      await rill.kill();
      throw error;
    }
    return rill;
  }

  /** What browsers send as the origin of the page. */
  get origin(): string {
    return `http://127.0.0.1:${this.front.port}`;
  }

  /** The path below which the server is: empty at the root of its host. */
  readonly base = BASE;

  /** The address of the page, without a slash at its end. */
  get url(): string {
    return this.origin + BASE;
  }

  /** How the policy of a page names what is its own. */
  get self(): string {
    return BASE ? `${this.url}/` : "'self'";
  }

  /** All that it has written to its log. */
  get log(): string {
    return this.output;
  }

  /** Ends it at once and for good. */
  async kill(): Promise<void> {
    await this.crash();
    await this.front.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Ends it at once, as a crash would. What it has saved stays. */
  async crash(): Promise<void> {
    if (this.isRunning) {
      const exit = once(this.child, "exit");
      this.child.kill("SIGKILL");
      await exit;
    }
  }

  /** Starts it again, at the same address and with what it has saved. */
  async restart(): Promise<void> {
    this.child = this.spawn();
    await this.answers();
  }

  /** Whether a text is in the files of the database: a crash does not take it any more. */
  hasWritten(text: string): boolean {
    const folder = join(this.folder, "data");
    return readdirSync(folder).some((file) => readFileSync(join(folder, file)).includes(text));
  }

  /** Runs a command over the data of this server, and gives its output. */
  async command(...words: string[]): Promise<string> {
    const run = promisify(execFile);
    const { stdout } = await run(binary, [...words, ...this.address, "--data-dir", join(this.folder, "data")], {
      cwd: this.folder,
      env: {},
    });
    return stdout;
  }

  private get address(): string[] {
    return ["--listen", `127.0.0.1:${this.port}`, ...this.front.flags];
  }

  private spawn(): ChildProcess {
    const child = spawn(binary, [...this.address, ...this.flags], {
      cwd: this.folder,
      env: {
        LEPTOS_SITE_ROOT: siteRoot,
        NO_COLOR: "1",
        RILL_OLLAMA: "off",
        // Nobody's own conversations are ever touched, and the upstream is asked for replies only.
        RILL_DATA_DIR: join(this.folder, "data"),
        RILL_TITLES: "off",
        ...this.environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
    return child;
  }

  /** Asks it to end, as a service manager would, and gives its exit code. */
  async terminate(): Promise<number | null> {
    const exit = once(this.child, "exit");
    this.child.kill("SIGTERM");
    const [code] = (await exit) as [number | null];
    return code;
  }

  private get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined;
  }

  private async answers(): Promise<void> {
    let failure: Error | undefined;
    this.child.once("error", (error) => (failure = error));
    const deadline = Date.now() + START_MS;
    while (Date.now() < deadline) {
      if (failure) throw new Error(`${binary} cannot be started; build it with "cargo leptos build --release --precompress"`, { cause: failure });
      if (!this.isRunning) throw new Error(`rill ended at once:\n${this.log}`);
      const healthy = await fetch(`${this.url}/healthz`).then((response) => response.ok, () => false);
      if (healthy) return;
      await new Promise((again) => setTimeout(again, 10));
    }
    throw new Error(`rill did not answer within ${START_MS} ms:\n${this.log}`);
  }
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
