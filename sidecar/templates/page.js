"use strict";
(() => {
  const PERIOD_MS = 2000, PATIENCE_MS = 5000, EXPLAIN_MS = 30000;
  const gone = document.getElementById("gone");
  const live = document.getElementById("live");
  let timer = 0, busy = false, heard = Date.now();

  const keyOf = (node) => node.dataset?.key ?? "";
  const alike = (a, b) => a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  // Makes an element what another one is and keeps what stays the same: nodes, and so focus,
  // scrolling, selection and what a reader has opened.
  function become(old, made) {
    if (old.dataset && "keep" in old.dataset) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== made.data) old.data = made.data;
      return;
    }
    for (const { name } of [...old.attributes])
      if (name !== "open" && !made.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of made.attributes)
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const known = new Map();
    for (const child of old.children) if (keyOf(child)) known.set(keyOf(child), child);
    let next = old.firstChild;
    for (const child of [...made.childNodes]) {
      const key = keyOf(child);
      const found = key ? known.get(key) : next && !keyOf(next) ? next : null;
      if (!found || !alike(found, child)) {
        old.insertBefore(child, next);
        continue;
      }
      known.delete(key);
      if (found === next) next = next.nextSibling;
      else old.insertBefore(found, next);
      become(found, child);
    }
    while (next) {
      const after = next.nextSibling;
      next.remove();
      next = after;
    }
  }

  function show(made) {
    const active = document.activeElement;
    const chosen = getSelection();
    const { anchorNode, anchorOffset, focusNode, focusOffset, isCollapsed } = chosen;
    become(live, made);
    document.title = live.dataset.title;
    if (active !== document.activeElement && active?.isConnected)
      active.focus({ preventScroll: true });
    if (isCollapsed || !anchorNode?.isConnected || !focusNode?.isConnected) return;
    const end = (node, offset) => Math.min(offset, (node.data ?? node.childNodes).length);
    chosen.setBaseAndExtent(
      anchorNode, end(anchorNode, anchorOffset), focusNode, end(focusNode, focusOffset));
  }

  function answered(there) {
    document.body.classList.toggle("gone", !there);
    const [alert, age] = gone.children;
    if (there) {
      heard = Date.now();
      alert.textContent = age.textContent = "";
      return;
    }
    const away = Math.round((Date.now() - heard) / 1000);
    // Read aloud once: the age, which changes, stands beside it.
    if (!alert.textContent) {
      const last = live.querySelector(".clock time").textContent;
      alert.textContent = `The sidecar does not answer. What stands below is of ${last}`;
      document.title = "? no answer: kube-dns";
    }
    age.textContent = away < 120 ? `, ${away} s ago.` : `, ${Math.floor(away / 60)} min ago.`;
  }

  // A reload would take away what stands in the explain box.
  function outdated() {
    document.body.classList.add("gone");
    gone.children[0].textContent = "Another version of the sidecar answers, and what stands below "
      + "is old. Load this page again when you are done with the box.";
    gone.children[1].textContent = "";
  }

  async function look() {
    clearTimeout(timer);
    if (document.hidden || busy) return;
    busy = true;
    try {
      const reply = await fetch("?part=live", {
        cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      const text = await reply.text();
      const made = new DOMParser().parseFromString(text, "text/html").getElementById("live");
      if (!reply.ok || !made) throw new Error(`status ${reply.status}`);
      // Another version answers now: its page may look otherwise.
      if (made.dataset.build !== live.dataset.build) {
        if (!form?.elements.name.value) return location.reload();
        outdated();
      } else {
        show(made);
        answered(true);
      }
    } catch {
      answered(false);
    } finally {
      busy = false;
    }
    timer = setTimeout(look, PERIOD_MS);
  }

  // The explain box, on the operators' page: its answer is shown below it.
  const form = document.querySelector("form[action=explain]");
  const said = document.getElementById("asking"), answer = document.getElementById("answer");
  let asking = null;

  async function explain(event) {
    event.preventDefault();
    asking?.abort();
    const mine = asking = new AbortController();
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value.trim()));
    query.set("part", "1");
    said.textContent = "Looking…";
    answer.setAttribute("aria-busy", "true");
    try {
      const signal = AbortSignal.any([mine.signal, AbortSignal.timeout(EXPLAIN_MS)]);
      const reply = await fetch(`explain?${query}`, { cache: "no-store", signal });
      const text = await reply.text();
      const made = new DOMParser().parseFromString(text, "text/html").getElementById("explained");
      if (!made && reply.ok) throw new Error("another program answers");
      if (!made) throw new Error(text.trim().slice(0, 300) || `status ${reply.status}`);
      answer.replaceChildren(made);
      said.textContent = "";
      // Read aloud by those who listen, and scrolled to on a phone.
      document.getElementById("verdict").focus();
    } catch (error) {
      if (mine !== asking) return;
      const late = error.name === "TimeoutError" ? "no answer in time" : error.message;
      answer.replaceChildren();
      said.textContent = `Not explained: ${late}`;
    } finally {
      if (mine === asking) answer.removeAttribute("aria-busy");
    }
  }

  form?.addEventListener("submit", explain);
  document.getElementById("pulse").hidden = false;
  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, PERIOD_MS);
})();
