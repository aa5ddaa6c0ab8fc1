// Passkeys. The server sends options as JSON with bytes in base64url, and reads the credential in the same way from a
// field of a form.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function withBytes(options) {
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  for (const list of [options.excludeCredentials, options.allowCredentials]) {
    for (const one of list ?? []) one.id = bytes(one.id);
  }
  return options;
}

function withText({ id, rawId, type, response, ...rest }) {
  const fields = ["attestationObject", "clientDataJSON", "authenticatorData", "signature", "userHandle"];
  const present = fields.filter((name) => response[name]).map((name) => [name, text(response[name])]);
  return JSON.stringify({ id, rawId: text(rawId), type, response: Object.fromEntries(present), extensions: {}, ...rest });
}

async function ask(form, more) {
  const start = await fetch(form.action + (form.dataset.start ?? "/start"), {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  if (!start.ok) throw new Error(await start.text());
  const { publicKey } = await start.json();
  const credential = await navigator.credentials[form.dataset.passkey]({ publicKey: withBytes(publicKey), ...more });
  form.elements.credential.value = withText(credential);
  // Not requestSubmit(), which would ask again.
  form.submit();
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  const status = form.querySelector("[role=status]");
  let waiting = new AbortController();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    waiting.abort();
    waiting = new AbortController();
    status.textContent = "";
    try {
      await ask(form, { signal: waiting.signal });
    } catch (error) {
      const isUsual = ["AbortError", "NotAllowedError"].includes(error.name);
      const isPresent = error.name === "InvalidStateError";
      status.textContent = isPresent ? "This device has a passkey already." : isUsual ? "No passkey was used." : error.message;
    }
  });
  // Offers passkeys in the field for the email, where the browser can.
  const offers = form.dataset.passkey === "get" && PublicKeyCredential.isConditionalMediationAvailable?.();
  offers?.then((can) => can && ask(form, { mediation: "conditional", signal: waiting.signal })).catch(() => {});
}
