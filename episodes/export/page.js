
"use strict";
(() => {
  const main = document.querySelector("main");
  const tools = document.querySelector(".tools");
  const field = tools.querySelector("input");
  const count = tools.querySelector("output");
  const findings = [...document.querySelectorAll(".finding")];
  const MOST = 5000;
  let finding = -1;
  let hits = [];
  let hit = -1;
  let sought = "";
  let waiting = 0;

  function reveal(node) {
    for (let at = node.parentElement; at; at = at.parentElement) if (at.localName === "details") at.open = true;
  }

  function foldAll(open) {
    for (const each of main.querySelectorAll("details")) each.open = open;
  }

  function goFinding(by) {
    if (!findings.length) { count.value = "no findings"; return; }
    finding = finding < 0 && by < 0 ? findings.length - 1 : (finding + by + findings.length) % findings.length;
    for (const each of findings) each.classList.toggle("here", each === findings[finding]);
    reveal(findings[finding]);
    findings[finding].scrollIntoView({ block: "start" });
    count.value = `finding ${finding + 1} of ${findings.length}`;
  }

  function places(block, term) {
    const text = block.textContent;
    const low = text.toLowerCase().length === text.length ? text.toLowerCase() : text;
    const found = [];
    for (let at = low.indexOf(term); at >= 0; at = low.indexOf(term, at + term.length)) found.push(at);
    return found;
  }

  function ranges(block, starts, length) {
    const nodes = [];
    const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(), from = 0; node; from += node.length, node = walker.nextNode()) {
      nodes.push([from, node]);
    }
    const at = (offset, end) => nodes.findLast(([from]) => (end ? from < offset : from <= offset));
    return starts.map((start) => {
      const range = document.createRange();
      const [first, last] = [at(start, false), at(start + length, true)];
      range.setStart(first[1], start - first[0]);
      range.setEnd(last[1], start + length - last[0]);
      return range;
    });
  }

  function search(term) {
    hits = [];
    hit = -1;
    sought = term;
    term = term.toLowerCase();
    if (term) {
      for (const block of main.querySelectorAll("h2, p, pre, summary, td, th")) {
        const starts = places(block, term);
        if (starts.length) hits.push(...ranges(block, starts.slice(0, MOST - hits.length), term.length));
        if (hits.length === MOST) break;
      }
    }
    if (window.Highlight) {
      const all = new Highlight();
      for (const range of hits) all.add(range);
      CSS.highlights.set("found", all);
    }
    count.value = !term ? "" : hits.length ? `${total()} found` : "not found";
  }

  function goHit(by) {
    if (!hits.length) return;
    hit = hit < 0 && by < 0 ? hits.length - 1 : (hit + by + hits.length) % hits.length;
    reveal(hits[hit].startContainer);
    getSelection().removeAllRanges();
    getSelection().addRange(hits[hit]);
    hits[hit].startContainer.parentElement.scrollIntoView({ block: "center" });
    centre();
    requestAnimationFrame(centre); // what came into view was laid out meanwhile
    count.value = `${hit + 1} of ${total()}`;
  }

  function total() {
    return hits.length === MOST ? `${MOST} or more` : hits.length;
  }

  function centre() {
    scrollBy(0, hits[hit].getBoundingClientRect().top - innerHeight / 3);
  }

  const deeds = {
    "]": () => goFinding(1),
    "[": () => goFinding(-1),
    "/": () => { field.focus(); field.select(); },
    n: () => goHit(1),
    N: () => goHit(-1),
    unfold: () => foldAll(true),
    fold: () => foldAll(false),
    next: () => goFinding(1),
    back: () => goFinding(-1),
  };

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === field) {
      if (event.key === "Escape") field.blur();
      return;
    }
    if (event.key.length === 1 && Object.hasOwn(deeds, event.key)) {
      event.preventDefault();
      deeds[event.key]();
    }
  });
  tools.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) deeds[button.dataset.do]();
  });
  tools.addEventListener("submit", (event) => {
    event.preventDefault();
    field.blur();
    if (field.value !== sought) search(field.value);
    goHit(1);
  });
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (field.value !== sought) search(field.value); }, 200);
  });
  const arrive = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target) reveal(target);
  };
  addEventListener("hashchange", arrive);
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...main.querySelectorAll("details:not([open])")];
    foldAll(true);
  });
  addEventListener("afterprint", () => { for (const each of folded) each.open = false; });
  tools.hidden = false;
  arrive();
})();
