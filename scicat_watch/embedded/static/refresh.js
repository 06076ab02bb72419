// Asks every few seconds whether datasets arrived, and if so replaces the list; a search that is being typed is kept.
"use strict";
const pause = 4000;

async function refresh() {
  const shown = document.getElementById("datasets");
  try {
    if (!document.hidden) {
      const version = await (await fetch("/latest")).text();
      if (version !== shown.dataset.version) {
        const page = await (await fetch(location.href)).text();
        const fresh = new DOMParser().parseFromString(page, "text/html").getElementById("datasets");
        if (fresh) shown.replaceWith(document.adoptNode(fresh));
      }
    }
  } catch {
    // The catalogue does not answer now; the next refresh may succeed.
  }
  setTimeout(refresh, pause);
}

setTimeout(refresh, pause);
