// Keeps an open page fresh; without it the page still works, and is as old as its last load.
"use strict";
(() => {
  const root = document.documentElement, body = document.body;
  const fresh = document.getElementById("fresh"), stale = document.getElementById("stale");
  const EVERY_MS = 30000, TOGETHER_MS = 400, AGAIN_MS = 5000;

  // --- light and dark ---
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-switch]");
    if (!button) return;
    const isLight = root.dataset.theme
      ? root.dataset.theme === "light"
      : matchMedia("(prefers-color-scheme: light)").matches;
    root.dataset.theme = isLight ? "dark" : "light";
    document.cookie = `pylantir_theme=${root.dataset.theme};path=/page;max-age=31536000;samesite=strict`;
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
  });

  // --- "/" goes to the search ---
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    const search = document.getElementById("q");
    if (event.key === "/" && !typing && search) {
      event.preventDefault();
      search.focus();
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  // --- details of what is under the pointer or has the focus ---
  const tip = document.getElementById("tip");
  const show = (event) => {
    const shown = event.target.closest && event.target.closest("[data-tip]");
    if (!tip) return;
    tip.hidden = !shown;
    if (!shown) return;
    tip.textContent = shown.getAttribute("aria-label");
    const place = shown.getBoundingClientRect();
    const left = Math.min(place.left, root.clientWidth - tip.offsetWidth - 12);
    tip.style.left = `${Math.max(8, left) + scrollX}px`;
    tip.style.top = `${place.bottom + scrollY + 6}px`;
  };
  for (const name of ["mouseover", "focusin"]) document.addEventListener(name, show);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && tip) tip.hidden = true;
  });

  // --- the wall display: as many rows as there is room for, and how many there are besides ---
  const fit = () => {
    for (const box of document.querySelectorAll("[data-fit]")) {
      const rows = [...box.querySelectorAll("tbody tr, li")];
      const more = document.getElementById(box.dataset.fit);
      const said = () => {
        const left = Number(box.dataset.total || rows.length) - rows.filter((row) => !row.hidden).length;
        if (more) more.textContent = left ? more.dataset.words.replace("%s", left) : "";
      };
      for (const row of rows) row.hidden = false;
      said();
      const least = Number(box.dataset.least ?? 1);
      for (let n = rows.length - 1; n >= least && box.scrollHeight > box.clientHeight + 1; n--) {
        rows[n].hidden = true;
        said();
      }
    }
  };
  fit();
  addEventListener("resize", fit);

  // --- fresh ---
  if (!fresh) return;
  const seen = new Map();
  const living = () => document.querySelectorAll("[data-live][id]");
  for (const part of living()) seen.set(part.id, part.innerHTML);

  const put = (part, next) => {
    if (next.className !== part.className) part.className = next.className;
    if (seen.get(part.id) === next.innerHTML) return;
    seen.set(part.id, next.innerHTML);
    const open = new Set([...part.querySelectorAll("details[open][id]")].map((each) => each.id));
    const active = part.contains(document.activeElement) ? document.activeElement : null;
    const named = active && (active.id ? `#${CSS.escape(active.id)}` : active.getAttribute("href") &&
      `${active.tagName}[href="${CSS.escape(active.getAttribute("href"))}"]`);
    const before = new Map([...part.querySelectorAll("[data-row]")].map((r) => [r.dataset.row, r.innerHTML]));
    part.replaceChildren(...next.childNodes);
    for (const each of part.querySelectorAll("details[id]")) if (open.has(each.id)) each.open = true;
    for (const row of part.querySelectorAll("[data-row]")) {
      if (before.size && before.get(row.dataset.row) !== row.innerHTML) row.classList.add("changed");
    }
    if (named) part.querySelector(named)?.focus({ preventScroll: true });
    fit();
  };

  let since = fresh.dataset.at;  // on the clock of the site, as everything else on the page
  const say = (isStale) => {
    body.classList.toggle("stale", isStale);
    if (!isStale) fresh.textContent = fresh.dataset.words.replace("%s", since);
    const words = isStale ? stale.dataset.words.replace("%s", since) : "";
    if (stale.textContent === words) return;
    stale.textContent = words;
    fit();
  };

  let asking = false, again = false;
  const refresh = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (answer.status >= 500) throw new Error(answer.status);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.redirected || next.body.dataset.who !== body.dataset.who) return location.reload();
      for (const part of living()) {
        const other = next.getElementById(part.id);
        if (other) put(part, other);
      }
      since = next.getElementById("fresh")?.dataset.at ?? since;
      say(false);
    } catch {
      say(true);
    } finally {
      asking = false;
      if (again) { again = false; setTimeout(refresh, TOGETHER_MS); }
    }
  };

  let waiting = 0, stream = null;
  const soon = (ms) => { clearTimeout(waiting); waiting = setTimeout(refresh, ms); };
  const listen = () => {
    if (!body.dataset.stream || (stream && stream.readyState !== EventSource.CLOSED)) return;
    stream = new EventSource(body.dataset.stream);
    for (const kind of ["item", "step", "sync", "query", "many"]) {
      stream.addEventListener(kind, () => soon(TOGETHER_MS));
    }
    stream.onopen = () => body.dataset.listening = "yes";
    stream.onerror = () => { delete body.dataset.listening; soon(AGAIN_MS); };
  };
  say(false);
  listen();
  setInterval(() => { listen(); refresh(); }, EVERY_MS);
  addEventListener("online", () => soon(0));
  addEventListener("offline", () => say(true));
  addEventListener("pageshow", (event) => { if (event.persisted) refresh(); });
})();
