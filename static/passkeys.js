/* Passkeys: what the browser or the person refused is said on the page, not only to the console. */
(function () {
  "use strict";
  const words = { NotAllowedError: "The passkey was not used. Try again.", InvalidStateError: "This device already holds a passkey of yours." };
  document.addEventListener("allauth.error", (event) => {
    const box = document.querySelector("[data-passkey-error]");
    if (!box) return;
    event.preventDefault();
    const error = event.detail.exception;
    box.querySelector("div").textContent = words[error && error.name] || "This browser could not use a passkey here.";
    box.hidden = false;
  });
})();
