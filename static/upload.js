/* A file is sent as it is, with its progress; the server checks it while it arrives. Without this the form is sent as usual. */
(function () {
  "use strict";
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-upload]");
    const file = form?.querySelector("input[type=file]").files[0];
    if (!file) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const [bar, said, button] = ["progress", "[data-upload-said]", "button"].map((sel) => form.querySelector(sel));
    const say = (text, bad) => { said.textContent = text; said.classList.toggle("error", Boolean(bad)); };
    const request = new XMLHttpRequest();
    request.open("POST", `${form.action}?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("HX-Request", "true");
    const over = (text) => { button.disabled = false; bar.hidden = true; say(text, true); };
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = (100 * loaded) / total;
      say(loaded < total ? `${Math.floor((100 * loaded) / total)}% sent` : "Checking");
    });
    request.addEventListener("load", () => {
      const to = request.getResponseHeader("HX-Redirect");
      if (request.status === 204 && to) { window.onbeforeunload = null; location.assign(to); return; }
      let message = "That did not work. Try again.";
      try { message = JSON.parse(request.responseText).message || message; } catch (error) { /* not ours: a front server's page */ }
      over(message);
    });
    request.addEventListener("error", () => over("The connection was lost. Try again."));
    button.disabled = true;
    bar.hidden = false;
    say("0% sent");
    window.onbeforeunload = () => true;
    request.addEventListener("loadend", () => { window.onbeforeunload = null; });
    request.send(file);
  }, true);
})();
