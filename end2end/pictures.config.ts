/**
 * Pictures of the page in its states, and a recording of a message: `npx playwright test --config pictures.config.ts`.
 *
 * They are made with the built-in demo and end up in `pictures/`, which is not in the repository.
 */
import { defineConfig } from "@playwright/test";

import base from "./playwright.config.ts";
import type { Options } from "./fixtures.ts";

export default defineConfig<Options>({
  ...base,
  testDir: ".",
  testMatch: ["pictures.ts", "record.ts"],
  timeout: 120_000,
  projects: [{ name: "demo", use: { environment: { OPENAI_BASE_URL: "", OPENAI_API_KEY: "" }, trace: "off" } }],
});
