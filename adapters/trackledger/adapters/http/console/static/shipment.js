// The slider, and which mark of the drawing belongs to which row. Everything works without it, by links.
"use strict";
(() => {
  const slider = () => document.getElementById("known-at");
  const moments = () => slider().dataset.moments.split(" ").filter(Boolean);
  let waiting = 0, asking = null, scrolled = null;

  function addressOf(step) {
    const address = new URL(location.href), known = moments();
    address.hash = "";
    if (step >= known.length) address.searchParams.delete("known_at");
    else address.searchParams.set("known_at", known[step]);
    return address;
  }

  // Where the slider stands, in short beside it and as a moment for those who hear it.
  function tell() {
    const step = Number(slider().value), known = moments();
    const short = step >= known.length ? "now" : `${step + 1} of ${known.length}`;
    const moment = known[step]?.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
    document.getElementById("steps-output").textContent = short;
    slider().setAttribute("aria-valuetext", moment ? `${short}, ${moment}` : short);
  }

  // Everything that is marked as known is taken over from the page as it would be loaded; the slider itself stays.
  async function show(address) {
    asking?.abort();
    const mine = (asking = new AbortController());
    document.getElementById("shipment-known").classList.add("waiting");
    try {
      const answer = await fetch(address, { signal: mine.signal, credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok || !page.getElementById("shipment-known")) return location.assign(address);
      const open = new Map([...document.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
      const focused = document.activeElement?.id;
      for (const part of document.querySelectorAll("[data-known]")) {
        const other = page.getElementById(part.id);
        if (other) part.replaceWith(document.adoptNode(other));
      }
      for (const one of document.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = open.get(one.id);
      document.title = page.title;
      history.replaceState(null, "", address);
      look();
      if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus();
    } catch (error) {
      if (error.name !== "AbortError") location.assign(address);
    } finally {
      if (asking === mine) document.getElementById("shipment-known").classList.remove("waiting");
    }
  }

  // The newest is what one wants to see first.
  function look() {
    const plane = document.querySelector(".plane");
    if (plane) plane.scrollLeft = scrolled ?? plane.dataset.latest - plane.clientWidth + 48;
    slider().disabled = false;
    tell();
  }

  document.addEventListener("scroll", (event) => {
    if (event.target.classList?.contains("plane")) scrolled = event.target.scrollLeft;
  }, true);

  document.addEventListener("input", (event) => {
    if (event.target !== slider()) return;
    tell();
    clearTimeout(waiting);
    waiting = setTimeout(() => show(addressOf(Number(slider().value))), 120);
  });

  document.addEventListener("change", (event) => {
    const form = event.target.closest("#which");
    if (!form) return;
    const address = new URL(form.action);
    for (const [name, value] of new FormData(form)) if (value) address.searchParams.set(name, value);
    show(address);
  });

  document.addEventListener("trackledger:refreshed", look);

  document.addEventListener("keydown", (event) => {
    const busy = event.target.closest("input, textarea, select, dialog") || document.querySelector("dialog[open]");
    if (busy || event.key !== "a" || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    document.querySelector("#shipment-head a[data-sheet]")?.click();
  });

  function light(names) {
    for (const one of document.querySelectorAll("tr.lit, .mark.lit")) one.classList.remove("lit");
    for (const name of names) {
      document.getElementById(name)?.classList.add("lit");
      document.querySelector(`.mark[data-rows~="${CSS.escape(name)}"]`)?.classList.add("lit");
    }
  }

  function named(element) {
    const mark = element.closest?.("[data-rows]");
    if (mark) return mark.dataset.rows.split(" ").filter(Boolean);
    const link = element.closest?.('.why a[href^="#"]');
    if (link) return [link.hash.slice(1)];
    const row = element.closest?.("tr[id]");
    return row ? [row.id] : null;
  }

  for (const [name, on] of [["mouseover", true], ["mouseout", false], ["focusin", true], ["focusout", false]]) {
    document.addEventListener(name, (event) => {
      const names = named(event.target);
      if (names) light(on ? names : []);
    });
  }

  document.addEventListener("click", (event) => {
    const mark = event.target.closest(".plane [data-rows]");
    const row = mark && document.getElementById(mark.dataset.rows.split(" ")[0]);
    if (!row) return;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
  });

  look();
})();
