// Keys, sheets and live regions. Every page works without this file.
"use strict";
(() => {
  const LOOK_EVERY = 5_000; // milliseconds between two looks at the position
  const JUDGE_EVERY = 60_000; // and between two judgements by the clock, as time alone makes parcels late
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const search = $("#q"), keys = $("#keys"), sheet = $("#sheet");

  // Rows: j and k move, Enter opens, a acts.

  const rows = () => $$("tr[data-row], li[data-row]");
  const chosen = () => $("[data-row].here");

  function choose(row) {
    chosen()?.classList.remove("here");
    row.classList.add("here");
    $("a.open", row)?.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function move(by) {
    const all = rows();
    if (!all.length) return false;
    const focused = document.activeElement.closest?.("[data-row]");
    const at = all.indexOf(focused ?? chosen());
    choose(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]);
    return true;
  }

  const isTyping = (element) =>
    element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
  let going = 0;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape" && event.target === search) search.blur();
      return;
    }
    if ($("dialog[open]")) return;
    const follow = (link) => (link ? (link.click(), true) : false);
    let done = true;
    if (going && Date.now() < going) {
      going = 0;
      done = follow($(`.nav a[data-key="${CSS.escape(event.key)}"]`));
    } else if (event.key === "/") {
      search.focus();
      search.select();
    } else if (event.key === "g") going = Date.now() + 1500;
    else if (event.key === "?") keys.showModal();
    else if (event.key === "j") done = move(1);
    else if (event.key === "k") done = move(-1);
    // Arrows scroll the page until a row is chosen.
    else if (event.key === "ArrowDown" && chosen()) done = move(1);
    else if (event.key === "ArrowUp" && chosen()) done = move(-1);
    else if (event.key === "Enter" && event.target === document.body) done = follow($("a.open", chosen() ?? document.body));
    else if (event.key === "a") done = follow(chosen() && $("a[data-sheet]", chosen()));
    else done = false;
    if (done) event.preventDefault();
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.("[data-row]");
    if (row && row !== chosen()) {
      chosen()?.classList.remove("here");
      row.classList.add("here");
    }
  });

  // Sheets: a linked page's form, opened above this page.

  document.addEventListener("click", async (event) => {
    const link = event.target.closest?.("a[data-sheet]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    try {
      const page = await fetched(link.href);
      const form = page && $("[data-sheet-of]", page);
      if (!form) throw new Error("no form");
      sheet.replaceChildren(document.adoptNode(form));
      sheet.showModal();
    } catch {
      location.assign(link.href);
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-close]") && event.target.closest("dialog")) {
      event.preventDefault();
      event.target.closest("dialog").close();
    }
  });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => $$("form[data-sent]").forEach((form) => delete form.dataset.sent));

  // Filters: what was left empty is left out of the address.
  document.addEventListener("formdata", (event) => {
    if (event.target.method !== "get") return;
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });

  // Live regions.

  async function fetched(address) {
    const response = await fetch(address, { redirect: "manual", credentials: "same-origin" });
    if (response.type === "opaqueredirect") return location.reload();
    if (!response.ok) return null;
    return new DOMParser().parseFromString(await response.text(), "text/html");
  }

  const given = new WeakMap(); // region -> what the server gave for it
  const regions = () => $$("[data-live]");
  regions().forEach((region) => given.set(region, region.innerHTML));

  const isBusy = (region) =>
    $$("input:not([type=hidden]), textarea, select", region).some(
      (field) =>
        field === document.activeElement ||
        (field.tagName === "SELECT"
          ? [...field.options].some((option) => option.selected !== option.defaultSelected && field.value !== "")
          : field.checked !== field.defaultChecked || field.value !== field.defaultValue),
    );

  function replace(region, fresh) {
    const html = fresh.innerHTML;
    if (given.get(region) === html || isBusy(region)) return;
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    const mark = focused && (focused.id ? `#${CSS.escape(focused.id)}` : `a[href="${CSS.escape(focused.getAttribute("href") ?? "")}"]`);
    const row = chosen() && region.contains(chosen()) ? chosen().dataset.row : null;
    const scrolled = $$(".scroll", region).map((box) => box.scrollLeft);
    const opened = $$("details[open][id]", region).map((one) => one.id);
    region.innerHTML = html;
    given.set(region, html);
    $$(".scroll", region).forEach((box, at) => (box.scrollLeft = scrolled[at] ?? 0));
    opened.forEach((id) => $(`#${CSS.escape(id)}`, region)?.setAttribute("open", ""));
    if (row !== null) rows().find((one) => one.dataset.row === row)?.classList.add("here");
    if (mark) $(mark, region)?.focus({ preventScroll: true });
  }

  let position = null, judged = Date.now(), looking = false;

  async function look() {
    if (looking || document.hidden || !regions().length) return;
    looking = true;
    try {
      const response = await fetch(document.body.dataset.position, { redirect: "manual", credentials: "same-origin" });
      if (response.type === "opaqueredirect") return location.reload();
      const at = response.ok ? (await response.json()).position : position;
      const moved = position !== null && at !== position;
      if (moved || Date.now() - judged >= JUDGE_EVERY) {
        const page = await fetched(location.href);
        if (page) {
          regions().forEach((region) => {
            const fresh = page.getElementById(region.id);
            if (fresh) replace(region, fresh);
          });
          judged = Date.now();
          document.dispatchEvent(new CustomEvent("trackledger:refreshed"));
        }
      }
      position = at;
    } catch {
      // The server does not answer; the next look may find it again.
    } finally {
      looking = false;
    }
  }

  if (document.body.dataset.position) {
    look();
    setInterval(look, LOOK_EVERY);
    document.addEventListener("visibilitychange", look);
  }
})();
