// Tabs by the ARIA pattern: https://www.w3.org/WAI/ARIA/apg/patterns/tabs/. Each is a link, so it has an address.

/** Arrow keys, Home and End go from tab to tab. @param {HTMLElement} list */
export function arrows(list) {
  list.addEventListener("keydown", (event) => {
    const tabs = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[role="tab"]:not([hidden])')]);
    const at = tabs.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const tab = tabs[to % tabs.length];
    tab.focus();
    tab.click();
  });
}

/** @param {HTMLElement} list @param {string} chosen the `data-tab` of one */
export function choose(list, chosen) {
  for (const tab of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll('[role="tab"]'))) {
    const selected = tab.dataset.tab === chosen;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
  }
}
