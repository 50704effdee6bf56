/* Greenroom behaviour: small and delegated. Works on swapped content because every listener sits on the document. */
(function () {
  "use strict";
  const $ = (sel, root = document) => root.querySelector(sel);
  const $$ = (sel, root = document) => [...root.querySelectorAll(sel)];
  const TOAST_MS = 8000;
  /* Storage may be blocked: a choice then lasts for this page. */
  const kept = (name) => { try { return localStorage.getItem(name); } catch (error) { return null; } };
  const keep = (name, value) => { try { localStorage.setItem(name, value); } catch (error) { return; } };

  /* Toasts: made here for what happens on the page, by the server for what happened before it. ------- */
  function toast(text, { tone = "ok", undo = "" } = {}) {
    const box = $("[data-toasts]");
    const el = document.createElement("div");
    el.className = "toast";
    el.dataset.tone = tone;
    el.innerHTML = `<svg class="glyph" aria-hidden="true"><use/></svg><p></p>`;
    $("use", el).setAttribute("href", `${box.dataset.sprite}#g-${tone}`);
    $("p", el).textContent = text;
    if (undo) {
      const button = document.createElement("button");
      button.className = "btn btn--sm";
      button.type = "button";
      button.textContent = "Undo";
      button.addEventListener("click", () => { el.remove(); htmx.ajax("POST", undo, { source: document.body, swap: "none" }); });
      el.append(button);
    }
    box.append(el);
    expire(el);
  }
  /* A toast stays while the pointer or the focus is on it. */
  function expire(el) {
    setTimeout(() => { if (el.matches(":hover, :focus-within")) expire(el); else el.remove(); }, TOAST_MS);
  }
  $$("[data-toasts] .toast").forEach(expire);
  document.addEventListener("greenroom:toast", (event) => toast(event.detail.text, event.detail));

  /* Of tabs that do not fit, the one that is shown is in sight. ---------- */
  const showTab = (root) => $$(".views [aria-current]", root).forEach((tab) => { const row = tab.closest(".views"); row.scrollLeft = tab.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2; });
  showTab(document);

  /* Theme -------------------------------------------------------------- */
  function toggleTheme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    keep("theme", root.dataset.theme);
  }

  /* Phone navigation --------------------------------------------------- */
  function setNav(open) {
    document.body.classList.toggle("nav-open", open);
    const button = $("[data-nav]");
    if (button) button.setAttribute("aria-expanded", String(open));
    if (open) $(".side a").focus();
  }

  /* Dialogs come from the server into #dialog; focus returns to what opened them. */
  let opener = null;
  function openDialog() {
    const dialog = $("#dialog dialog[data-modal]");
    if (!dialog || dialog.open) return;
    dialog.showModal();
    ($("[aria-invalid=true]", dialog) || $("[autofocus], .dialog__body input:not([type=hidden]), .dialog__body select, .dialog__body textarea", dialog) || $("[data-close]", dialog)).focus();
    dialog.addEventListener("close", () => { if (!dialog.isConnected) return; $("#dialog").replaceChildren(); if (opener?.isConnected) opener.focus(); });
  }
  document.addEventListener("htmx:beforeRequest", (event) => { if (event.detail.target?.id === "dialog") opener = event.detail.elt; });
  document.addEventListener("htmx:afterSettle", openDialog);
  document.addEventListener("htmx:afterRequest", (event) => {
    const dialog = event.detail.elt?.closest?.("dialog");
    if (event.detail.elt?.matches?.("form[data-keep]") && event.detail.xhr?.status === 204) event.detail.elt.reset();
    const answer = event.detail.xhr;
    if (dialog && answer && (answer.status === 204 || answer.getResponseHeader("HX-Retarget")) && !answer.getResponseHeader("HX-Redirect")) dialog.close();
  });
  /* Addresses name only what is chosen. */
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") return;
    for (const [name, value] of [...event.detail.formData]) if (!value) event.detail.formData.delete(name);
  });
  document.addEventListener("htmx:responseError", (event) => { if (!event.detail.elt?.hasAttribute?.("data-poll")) failed(event); });
  document.addEventListener("htmx:sendError", (event) => { if (!event.detail.elt?.hasAttribute?.("data-poll")) failed(event); });
  function failed(event) {
    const status = event.detail.xhr?.status;
    const reference = event.detail.xhr?.getResponseHeader("X-Request-Id");
    toast(status === 403 ? "Your role does not allow this." : status === 404 ? "This no longer exists." :
      `That did not work. Try again.${reference ? ` Reference ${reference}.` : ""}`, { tone: "bad" });
  }

  /* A list that changed under the pointer says so instead of moving. */
  document.addEventListener("greenroom:waiting", (event) => {
    const note = $("[data-waiting]");
    if (!note) return;
    const { added } = event.detail;
    $("[data-waiting-text]", note).textContent = added ? `${added} new.` : "Its order changed.";
    note.hidden = false;
  });

  document.addEventListener("click", (event) => {
    const hit = (sel) => event.target.closest(sel);
    let el;
    if (hit("[data-theme-toggle]")) toggleTheme();
    else if (hit("[data-nav]")) setNav(!document.body.classList.contains("nav-open"));
    else if ((el = hit("[data-open]"))) document.getElementById(el.dataset.open)?.showModal();
    else if ((el = hit("[data-close]"))) el.closest("dialog")?.close();
    else if (hit("[data-clear]")) { $$("[data-bulk] [type=checkbox]").forEach((box) => { box.checked = false; }); countChosen(); }
    else if ((el = hit("[data-copy]"))) copy(document.getElementById(el.dataset.copy));
    if (document.body.classList.contains("nav-open") && !hit(".side") && !hit("[data-nav]")) setNav(false);
    $$("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target) || hit(".menu button, .menu a")) menu.open = false; });
    if (event.target.tagName === "DIALOG") event.target.close();
  });

  function copy(source) {
    const text = source.textContent.trim();
    const select = () => { getSelection().selectAllChildren(source); toast("Selected. Press Ctrl+C to copy."); };
    if (!navigator.clipboard) return select(); // only on https and localhost
    navigator.clipboard.writeText(text).then(() => toast("Copied"), select);
  }

  /* Ticked rows: the bar shows by style while there are any; here they are counted. */
  function countChosen() {
    const list = $("[data-bulk]");
    if (!list) return;
    const boxes = $$("tbody [type=checkbox]", list);
    const on = boxes.filter((box) => box.checked).length;
    const all = $("[data-all]", list);
    all.checked = on > 0 && on === boxes.length;
    all.indeterminate = on > 0 && on < boxes.length;
    $("[data-chosen]", list).textContent = `${on} chosen`;
  }
  document.addEventListener("change", (event) => {
    const list = event.target.closest("[data-bulk]");
    if (!list) return;
    if (event.target.matches("[data-all]")) $$("tbody [type=checkbox]", list).forEach((box) => { box.checked = event.target.checked; });
    countChosen();
  });
  document.addEventListener("htmx:afterSwap", countChosen);
  countChosen();

  /* Forms that send themselves when a choice changes */
  document.addEventListener("change", (event) => { if (event.target.matches("[data-submit]")) event.target.form.requestSubmit(); });

  /* Keyboard ----------------------------------------------------------- */
  const rows = () => $$("[data-rows] > [id]");
  const current = () => rows().find((row) => row.hasAttribute("aria-current"));
  function markRow(row) {
    rows().forEach((each) => { if (each === row) each.setAttribute("aria-current", "true"); else each.removeAttribute("aria-current"); });
  }
  function moveRow(step) {
    const list = rows();
    if (!list.length) return;
    const at = list.indexOf(current());
    const next = list[at < 0 ? 0 : Math.max(0, Math.min(list.length - 1, at + step))];
    markRow(next);
    next.scrollIntoView({ block: "nearest" });
    const link = $("a", next);
    link.focus({ preventScroll: true });
    if (link.hasAttribute("hx-get")) htmx.trigger(link, "greenroom:preview");
  }
  /* A click beside the link shows a preview, where there is room for one. */
  document.addEventListener("click", (event) => {
    const row = event.target.closest("[data-rows] > [data-href]");
    if (!row || event.target.closest("a, button, input")) return;
    const link = $("a[hx-get]", row);
    if ($("#peek")?.checkVisibility()) { link.focus({ preventScroll: true }); htmx.trigger(link, "greenroom:preview"); } else location.href = row.dataset.href;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const row = event.detail.elt?.closest?.("[data-rows] > [id]");
    if (row) markRow(row);
  });
  function press(name) {
    const button = $(`[data-key="${name}"]`);
    const live = button?.closest("[hx-post], [hx-get]");
    if (live && window.htmx) htmx.process(live); // just swapped in: htmx wires it a moment later, keys are faster
    if (button) button.tagName === "TEXTAREA" ? button.focus() : button.click();
    return button;
  }
  /* Keys pressed while the preview of the chosen row is on its way wait for it: they mean that ticket, not the one still shown. */
  let early = [];
  let preview = null; // the request on its way
  document.addEventListener("htmx:beforeRequest", (event) => { if (event.detail.elt?.matches?.("[data-rows] a")) preview = event.detail.xhr; });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!preview || event.detail.xhr !== preview) return;
    preview = null;
    const keys = early;
    early = [];
    if (!event.detail.successful) return;
    while (keys.length) {
      const key = keys.shift();
      act(key);
      if (early.length) early.push(...keys.splice(0));
      else if (key === "r" && document.activeElement.matches("textarea")) document.activeElement.setRangeText(keys.splice(0).join(""), 0, 0, "end");
    }
  });
  function act(key) {
    if (key === "j") moveRow(1);
    else if (key === "k") moveRow(-1);
    else if ((key === "a" || key === "r") && preview) { early = [key]; return true; }
    else if (key === "a" || key === "r") return press(key);
    return null;
  }
  let leader = false;

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { setNav(false); $$("details.menu[open]").forEach((d) => { d.open = false; }); return; }
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog[open]")) return;
    if (kept("shortcuts") === "off") return;
    const key = event.key;
    if (early.length) { if (key.length === 1) { early.push(key); event.preventDefault(); } return; }
    if (leader) { leader = false; const link = $(`[data-go="${CSS.escape(key)}"]`); if (link) location.href = link.href; return; }
    if (key === "g") leader = true;
    else if (key === "/") { const box = $("[data-search]"); if (box) { event.preventDefault(); box.focus(); } }
    else if (key === "?") $("#shortcuts")?.showModal();
    else if (key === "Enter" && current() && event.target === $("a", current())) { event.preventDefault(); location.href = current().dataset.href || $("a", current()).href; }
    else if (act(key)) event.preventDefault();
  });
  const shortcuts = $("[data-shortcuts]");
  if (shortcuts) {
    shortcuts.checked = kept("shortcuts") !== "off";
    shortcuts.addEventListener("change", () => keep("shortcuts", shortcuts.checked ? "on" : "off"));
  }
})();
