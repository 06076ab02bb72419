// Looks every few seconds whether something arrived, and if so shows the list anew; typing is not disturbed.
"use strict";
const pause = 4000;

async function look() {
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
    // The catalogue does not answer now; the next look may find it.
  }
  setTimeout(look, pause);
}

setTimeout(look, pause);
