/** A provider of OpenID Connect: npm's certified `oidc-provider`, which a test can let do wrong things. */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Provider, type JWK } from "oidc-provider";
import type { Page } from "@playwright/test";

/** The secret of Rill at the provider. */
export const SECRET = "a-secret-of-the-provider";

export class OpenIdProvider {
  private readonly folder = mkdtempSync(join(tmpdir(), "rill-openid-"));
  private provider: Provider | undefined;
  private client = "";

  /** Changes the address to which the browser goes back. */
  onReturn: ((url: URL) => void) | undefined;
  /** Changes what was asked for before the provider reads it. */
  onRequest: ((query: URLSearchParams) => void) | undefined;
  /** The addresses to which browsers went back. */
  readonly returns: URL[] = [];

  private constructor(private readonly server: Server) {
    server.on("request", (request, response) => {
      if (this.provider) void this.provider.callback()(request, response);
      else response.writeHead(503).end();
    });
  }

  static async listen(): Promise<OpenIdProvider> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new OpenIdProvider(server);
  }

  get issuer(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The configuration file for it. */
  config(more: string): string {
    const file = join(this.folder, "rill.toml");
    const usual = `issuer = "${this.issuer}"\nclient_id = "rill"\nclient_secret_env = "RILL_OPENID_SECRET"\nname = "Example"`;
    writeFileSync(file, `[access.openid]\n${usual}\n${more}\n`);
    return file;
  }

  /** Lets people of Rill at this address sign in. */
  serve(rill: string): void {
    this.client = rill;
    this.rotate();
  }

  /** Takes a new key in place of the old one. Nobody is signed in any more. */
  rotate(): void {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = { ...privateKey.export({ format: "jwk" }), kid: crypto.randomUUID(), alg: "RS256", use: "sig" } as JWK;
    const provider = new Provider(this.issuer, {
      clients: [
        {
          client_id: "rill",
          client_secret: SECRET,
          redirect_uris: [`${this.client}/signin/openid/return`],
          post_logout_redirect_uris: [`${this.client}/signin`],
        },
      ],
      claims: { email: ["email", "email_verified"], profile: ["name"] },
      cookies: { keys: ["of these tests"] },
      findAccount: (_, id) => ({
        accountId: id,
        claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: id }),
      }),
      jwks: { keys: [key] },
    });
    provider.use(async (context, next) => {
      if (context.path === "/auth" && this.onRequest) {
        const query = new URLSearchParams(context.querystring);
        this.onRequest(query);
        context.querystring = query.toString();
      }
      await next();
      const to = context.response.get("location") as string | undefined;
      if (to?.startsWith(`${this.client}/signin/openid/return`)) {
        const url = new URL(to);
        this.returns.push(new URL(to));
        this.onReturn?.(url);
        context.set("location", url.href);
      }
    });
    this.provider = provider;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Signs in on the pages of the provider, and agrees. */
export async function signInAtProvider(page: Page, name: string): Promise<void> {
  await page.getByPlaceholder("Enter any login").fill(name);
  await page.getByPlaceholder("and password").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}
