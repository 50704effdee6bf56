/* Live pages: an answer is merged into what is shown, so that focus, selection and typed text stay, and nothing
   is reordered or inserted under the pointer. Loaded after htmx, as a swap style of two strengths:
   "morph" for what the user asked for, "gentle" for polls. */
(function () {
  "use strict";
  let stoppedAt = null;
  let shownAt = new Date();

  /* Merging ------------------------------------------------------------ */
  const KEPT = new Set(["open", "aria-current", "data-settled"]); // the browser's own state of details, dialogs and rows

  function syncAttributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(KEPT.has(name) && old.closest("[data-list], details, dialog"))) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value && !(name === "open" && old.tagName === "DETAILS")) old.setAttribute(name, value);
    }
  }

  function alike(a, b) {
    return a.nodeType === b.nodeType && (a.nodeType !== Node.ELEMENT_NODE ||
      (a.tagName === b.tagName && a.id === b.id && ["hx-get", "hx-post"].every((name) => a.getAttribute(name) === b.getAttribute(name))));
  }

  function busy(list) {
    return list.matches(":hover") || list.contains(document.activeElement) || list.querySelector("tbody :checked") !== null;
  }

  /* Children of a list are told apart by id. What came or went waits for the pointer to leave. */
  function mergeList(old, fresh, gentle, changed) {
    const known = new Map([...old.children].map((child) => [child.id, child]));
    const wanted = [...fresh.children];
    const same = wanted.length === known.size && wanted.every((child, i) => old.children[i].id === child.id);
    if (same || (gentle && busy(old))) {
      for (const child of wanted) if (known.has(child.id)) merge(known.get(child.id), child, gentle, changed);
      if (!same) {
        const added = wanted.filter((child) => !known.has(child.id)).length;
        document.dispatchEvent(new CustomEvent("greenroom:waiting", { detail: { list: old, added } }));
      }
      return;
    }
    for (const child of wanted) {
      const match = known.get(child.id);
      if (match) { merge(match, child, gentle, changed); old.append(match); known.delete(child.id); } else { old.append(child); changed.push(child); }
    }
    known.forEach((child) => child.remove());
  }

  function mergeChildren(old, fresh, gentle, changed) {
    const theirs = [...fresh.childNodes];
    theirs.forEach((child, i) => {
      const mine = old.childNodes[i];
      if (!mine) { old.append(child); changed.push(child); }
      else if (alike(mine, child)) merge(mine, child, gentle, changed);
      else if (mine.nodeType === Node.ELEMENT_NODE && child.id && old.querySelector(`:scope > #${CSS.escape(child.id)}`)) {
        while (old.childNodes[i].id !== child.id) old.childNodes[i].remove();
        merge(old.childNodes[i], child, gentle, changed);
      } else { mine.replaceWith(child); changed.push(child); }
    });
    while (old.childNodes.length > theirs.length) old.lastChild.remove();
  }

  function merge(old, fresh, gentle, changed) {
    if (old.nodeType !== Node.ELEMENT_NODE) { if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue; return; }
    if (old.isEqualNode(fresh)) { if (old.dataset.age || old.querySelector("[data-age], [data-left]")) restamp(old); return; }
    if (old.hasAttribute("data-keep") && (old.contains(document.activeElement) || [...old.querySelectorAll("textarea")].some((box) => box.value))) return; // somebody writes here
    syncAttributes(old, fresh);
    if (old.hasAttribute("data-age") || old.hasAttribute("data-left")) restamp(old);
    if (old.hasAttribute("data-list")) mergeList(old, fresh, gentle, changed);
    else mergeChildren(old, fresh, gentle, changed);
  }

  htmx.defineExtension("greenroom", {
    isInlineSwap: (style) => style === "morph" || style === "gentle",
    handleSwap(style, target, fragment) {
      if (style !== "morph" && style !== "gentle") return false;
      const fresh = fragment.querySelector(`#${target.id}`);
      if (!fresh) return false;
      const changed = [];
      const active = document.activeElement;
      if (fresh.dataset.title) document.title = `${fresh.dataset.title} · Greenroom`;
      merge(target, fresh, style === "gentle", changed);
      if (active && !active.isConnected) document.getElementById("content")?.focus({ preventScroll: true });
      const made = changed.filter((node) => node.nodeType === Node.ELEMENT_NODE);
      made.forEach((node) => htmx.process(node)); // now: htmx itself waits to settle, and a form sent before that leaves the page
      return made;
    },
  });

  /* Ages and clocks: the server sends seconds, so a wrong clock of ours does no harm. ---------------- */
  const stamps = new WeakMap();
  function restamp(root) {
    stamps.delete(root);
    root.querySelectorAll("[data-age], [data-left]").forEach((el) => stamps.delete(el));
  }
  function passed(el) {
    if (!stamps.has(el)) stamps.set(el, performance.now());
    return Math.floor((performance.now() - stamps.get(el)) / 1000);
  }
  const pad = (n) => String(n).padStart(2, "0");
  function span(s) {
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} m`;
    if (s < 172800) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))} m`;
    return `${Math.floor(s / 86400)} d`;
  }
  function countdown(left) {
    const s = Math.abs(left), h = Math.floor(s / 3600), m = Math.floor((s % 3600) / 60);
    return (left < 0 ? "−" : "") + (h < 10 ? `${h}:${pad(m)}:${pad(s % 60)}` : h < 48 ? `${h} h ${pad(m)} m` : `${Math.floor(h / 24)} d ${h % 24} h`);
  }
  function tick() {
    for (const el of document.querySelectorAll("[data-age]")) {
      const text = span(Number(el.dataset.age) + passed(el)) + (el.hasAttribute("data-bare") ? "" : " ago");
      if (el.textContent !== text) el.textContent = text;
    }
    for (const el of document.querySelectorAll(".sla[data-left]")) {
      const left = Number(el.dataset.left) - passed(el);
      const share = Math.max(0, Math.min(100, (100 * left) / Number(el.dataset.budget)));
      el.dataset.tone = share <= 10 ? "bad" : share <= 30 ? "warn" : "";
      el.toggleAttribute("data-late", left < 0);
      el.lastElementChild.textContent = countdown(left);
      el.querySelector("circle:last-child").setAttribute("stroke-dasharray", `${left > 0 ? share.toFixed(1) : 100} 100`);
    }
  }
  tick();
  setInterval(tick, 1000);

  /* Saying when live stops --------------------------------------------- */
  const isPoll = (event) => Boolean(event.detail.elt?.hasAttribute?.("data-poll"));
  function stopped(is) {
    const box = document.querySelector("[data-stopped]");
    if (!box || is === (stoppedAt !== null)) return;
    stoppedAt = is ? shownAt : null;
    box.hidden = !is;
    if (is) box.querySelector("[data-stopped-at]").textContent = `${pad(shownAt.getHours())}:${pad(shownAt.getMinutes())}`;
    document.body.toggleAttribute("data-stale", is);
  }
  document.addEventListener("htmx:beforeRequest", (event) => { if (isPoll(event) && document.hidden) event.preventDefault(); });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (isPoll(event) && event.detail.successful) { shownAt = new Date(); stopped(false); }
  });
  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) { // not an abort: something newer took its place
    document.addEventListener(failure, (event) => { if (isPoll(event)) stopped(true); });
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) htmx.trigger(document.body, "greenroom:refresh"); });
})();
