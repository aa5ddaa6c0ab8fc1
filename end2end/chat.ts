/**
 * The page as a person meets it: things by their role and name, and the verbs of a conversation.
 *
 * Only here is it written how something is found; the tests say what a person does.
 */
import { expect, type BrowserContext, type CDPSession, type Locator, type Page } from "@playwright/test";

export class Chat {
  readonly conversation: Locator;
  readonly composer: Locator;
  readonly send: Locator;
  readonly stop: Locator;
  readonly status: Locator;
  readonly alert: Locator;
  readonly cursor: Locator;
  readonly questions: Locator;
  readonly answers: Locator;
  readonly jump: Locator;
  readonly newChat: Locator;
  readonly sidebar: Locator;
  /** The conversations of the list. */
  readonly entries: Locator;
  /** The button that says which model answers, and opens the list. */
  readonly model: Locator;
  /** The field of the list of models. */
  readonly findModel: Locator;
  readonly palette: Locator;
  readonly settings: Locator;

  constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
  ) {
    this.conversation = page.getByRole("log", { name: "Conversation" });
    this.composer = page.getByRole("textbox", { name: "Message", exact: true });
    this.send = page.getByRole("button", { name: "Send", exact: true });
    this.stop = page.getByRole("button", { name: "Stop", exact: true });
    this.status = page.getByRole("status");
    this.alert = page.getByRole("alert");
    this.cursor = page.locator("[data-cursor]");
    this.questions = this.conversation.getByRole("article", { name: "You", exact: true });
    this.answers = this.conversation.getByRole("article", { name: "Assistant", exact: true });
    this.jump = page.getByRole("button", { name: "Jump to latest" });
    this.newChat = page.getByRole("button", { name: "New chat" });
    this.sidebar = page.getByRole("navigation", { name: "Conversations" });
    this.entries = this.sidebar.getByRole("listitem").filter({ has: page.getByRole("link") });
    this.model = page.getByRole("button", { name: /^Model:/ });
    this.findModel = page.getByRole("combobox", { name: "Model", exact: true });
    this.palette = page.getByRole("dialog", { name: "Search and commands" });
    this.settings = page.getByRole("dialog", { name: "Settings" });
  }

  /** Opens the page and waits until it can be used. */
  async open(): Promise<void> {
    await this.page.goto("./");
    await this.ready();
  }

  /** Waits until the page can be used: the wasm is there and has taken over what the server rendered. */
  async ready(): Promise<void> {
    await expect(this.send).toBeEnabled();
  }

  /** Writes a message and sends it. */
  async ask(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.submit();
  }

  /** Sends what is in the composer: with Enter where that sends, and else with the button. */
  async submit(): Promise<void> {
    if ((await this.composer.getAttribute("enterkeyhint")) === "send") await this.composer.press("Enter");
    else await this.send.click();
  }

  /** Opens the settings. */
  async openSettings(): Promise<void> {
    await this.chooseInMenu("Settings");
    await expect(this.settings).toBeVisible();
  }

  /** Changes the question that is being edited and sends it. */
  async finishEdit(from: string, to: string): Promise<void> {
    const editor = this.page.locator("textarea:focus");
    await expect(editor).toHaveValue(from);
    await editor.fill(to);
    await this.submit();
  }

  /** The question with this number, counted from 1. */
  question(number: number): Locator {
    return this.questions.nth(number - 1);
  }

  /** The answer with this number, counted from 1. */
  answer(number = 1): Locator {
    return this.answers.nth(number - 1);
  }

  /** Expects that a message says exactly this, its line breaks included; spaces at the end cannot be seen. */
  async expectText(message: Locator, text: string): Promise<void> {
    await expect.poll(() => said(message), { message: "the text of the message" }).toBe(text.trimEnd());
  }

  /** Waits until the list is live: it is when somebody turns to it. */
  async listed(): Promise<void> {
    if (await this.sidebar.isVisible()) await this.sidebar.hover();
    await expect(this.sidebar).toHaveAttribute("aria-busy", "false");
  }

  /** The conversation of the list with this title. */
  entry(title: RegExp): Locator {
    return this.entries.filter({ hasText: title });
  }

  /** Chooses something in the menu at the foot of the sidebar, wherever that is. */
  async chooseInMenu(name: string): Promise<void> {
    const drawer = this.page.getByRole("button", { name: "Show conversations" });
    if (await drawer.isVisible()) await drawer.click();
    await this.listed();
    await this.sidebar.getByRole("button", { name: "Menu", exact: true }).click();
    await this.page.getByRole("menuitem", { name, exact: true }).click();
  }

  /** Begins a conversation that nobody keeps. */
  async temporary(): Promise<void> {
    if (!(await this.page.getByRole("main").evaluate((main) => main.classList.contains("empty")))) await this.newChat.click();
    await this.page.getByRole("button", { name: "Temporary" }).click();
    await expect(this.composer).toBeFocused();
  }

  /** Waits until the newest answer has ended well. */
  async finished(): Promise<void> {
    await expect(this.status).toHaveText(/^Answer complete/);
    await expect(this.send).toBeVisible();
  }

  /** Lets the next Tab begin at the top of the page. */
  async tabFromTop(): Promise<void> {
    await this.page.evaluate(() => {
      document.body.tabIndex = -1;
      document.body.focus();
      document.body.removeAttribute("tabindex");
    });
  }

  /** A line to the browser itself, for what Playwright has no word for. */
  async devtools(): Promise<CDPSession> {
    return this.context.newCDPSession(this.page);
  }

  /** Waits until the browser has drawn what is in the document now. */
  async drawn(): Promise<void> {
    await this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  }
}

/** What a message says, as it is seen: without its buttons, notes and cursor. */
export function said(message: Locator): Promise<string> {
  return message.locator("[data-text]").evaluate((element: HTMLElement) => element.innerText.trimEnd());
}
